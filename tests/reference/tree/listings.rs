//! Directories that show what is in them (`autoindex`), as JSON: HTML is each server's own.

use crate::reference::table::{Case, get, head, post};

const BY_ACCEPT: &str = "there are two forms of it, and caches have to know what chooses";

/// Asks for JSON.
const JSON: &[&str] = &["-H", "Accept: application/json"];

pub const LISTINGS: &[Case] = &[
    get("/list/").with(JSON).but("vary", BY_ACCEPT),
    head("/list/").with(JSON).differs(
        200,
        200,
        "RFC 9110 section 9.3.2: the length of what GET would send is told, and there are two forms of it",
    ),
    get("/list/?x=1").with(JSON).but("vary", BY_ACCEPT),
    get("/list/sub/").with(JSON).but("vary", BY_ACCEPT),
    get("/list/empty/").with(JSON).but("vary", BY_ACCEPT),
    get("/list/s%20p/").with(JSON).but("vary", BY_ACCEPT),
    get("/list/").with(&["-H", "Accept: application/json", "-r", "0-3"]).but("vary", BY_ACCEPT),
    get("/list/").with(&["-H", "Accept: application/json", "-H", "If-None-Match: *"]).but("vary", BY_ACCEPT),
    get("/list/")
        .with(&["-H", "Accept: application/json", "-H", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"])
        .but("vary", BY_ACCEPT),
    get("/list/with/"),
    get("/list/sub"),
    get("/list/sub?x=1&y=/"),
    get("/list/s%20p"),
    get("/list/missing/"),
    get("/list/a.txt"),
    get("/list/a.txt/"),
    get("/list/.hidden/").differs(200, 404, "hidden names are not served unless the manifest says so"),
    post("/list/", 3).differs(403, 405, "RFC 9110 section 15.5.6: it is the method that is not allowed"),
    get("/list/").with(&["-H", "Accept: application/json", "-H", "If-Match: \"x\""]).but("vary", BY_ACCEPT),
    post("/list/sub", 3),
];
