//! Other methods than GET and HEAD, to what no script answers.

use crate::reference::table::{Case, ask, get, post};

const NOTHING: &str = "what is not there allows no other method either: POST gets a 404 from nginx, too";
const TOKEN: &str = "RFC 9110 section 9.1: a method is a token, compared with its case; this one is none that a file answers";

pub const METHODS: &[Case] = &[
    post("/style.css", 3),
    post("/style.css", 0),
    post("/style.css", 200_000),
    post("/style.css", 1_048_577).differs(413, 405, "the method is wrong whatever the length; nobody reads the body"),
    post("/style.css", 3000).with(&["-H", "Transfer-Encoding: chunked"]),
    ask("PUT", "/style.css").body(3),
    ask("DELETE", "/style.css"),
    ask("OPTIONS", "/style.css"),
    ask("PATCH", "/style.css").body(3),
    ask("TRACE", "/style.css"),
    ask("PROPFIND", "/style.css"),
    ask("MKCOL", "/new").differs(405, 404, NOTHING),
    ask("FOO", "/style.css"),
    ask("foo", "/style.css").differs(400, 405, TOKEN),
    ask("get", "/style.css").differs(400, 405, TOKEN),
    post("/missing.css", 3),
    ask("PUT", "/missing.css").body(3).differs(405, 404, NOTHING),
    ask("DELETE", "/missing.css").differs(405, 404, NOTHING),
    ask("OPTIONS", "/missing.css").differs(405, 404, NOTHING),
    ask("OPTIONS", "/"),
    ask("OPTIONS", "/").with(&["--request-target", "*"]).differs(
        400,
        200,
        "RFC 9110 section 9.3.7: it asks what the server as a whole can do",
    ),
    ask("OPTIONS", "/style.css").with(&["-H", "Origin: http://x", "-H", "Access-Control-Request-Method: PUT"]),
    ask("PUT", "/try/missing").body(3),
    ask("DELETE", "/fall/file.txt").differs(405, 200, "a file answers GET and HEAD; what else there is to it the application knows"),
    ask("DELETE", "/fall/missing"),
    post("/alias/x.txt", 3),
    get("/style.css").with(&["--data-binary", "body", "-X", "GET"]),
    get("/x.php").with(&["--data-binary", "body", "-X", "GET"]),
];
