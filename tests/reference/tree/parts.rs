//! Several ranges in one request, what only a strict reader of ranges tells apart, and siblings that are compressed already.

use crate::reference::table::{Case, get, head};

const INVALID: &str = "RFC 9110 section 14.2: what is no range is passed over; the client gets something that it can use";
const MEMBERS: &str = "RFC 9110 section 5.6.1.2: empty members of a list count for nothing";
const EVERY: &str = "a file without a sibling may have one tomorrow: caches have to know what chooses";

const GOES_ON: &str = "what is compressed has a strong tag, too: a download that broke off goes on from there";

pub const PARTS: &[Case] = &[
    get("/style.css").with(&["-r", "0-1,3-4"]),
    get("/style.css").with(&["-H", "Range: bytes=0-1, 3-4"]),
    get("/style.css").with(&["-r", "0-0,-1"]),
    get("/style.css").with(&["-r", "-1,0-0"]),
    get("/style.css").with(&["-r", "0-0,2-2,4-4"]),
    get("/style.css").with(&["-r", "0-3,2-5"]),
    get("/style.css").with(&["-r", "0-1,99-100"]),
    get("/style.css").with(&["-r", "99-100,0-1"]),
    get("/style.css").with(&["-r", "99-100,200-"]),
    get("/style.css").with(&["-r", "0-9,5-15"]),
    get("/style.css").with(&["-r", "0-,0-"]),
    get("/style.css").with(&["-r", "0-7,8-15"]),
    get("/style.css").with(&["-H", "Range: bytes=0-1,"]).differs(416, 206, MEMBERS),
    get("/style.css").with(&["-H", "Range: bytes=,0-1"]).differs(416, 206, MEMBERS),
    get("/style.css").with(&["-H", "Range: bytes=0-1,x"]).differs(416, 200, INVALID),
    get("/style.css").with(&["-H", "Range: bytes=0-1,5-4"]).differs(206, 200, INVALID),
    head("/style.css").with(&["-r", "0-1,3-4"]).differs(
        206,
        200,
        "RFC 9110 section 14.2: a range is of GET, and is passed over with other methods",
    ),
    get("/style.css").with(&["-r", "0-1,3-4", "-H", "If-Range: {etag}"]),
    get("/style.css").with(&["-r", "0-1,3-4", "-H", "If-Range: \"x\""]),
    get("/style.css").with(&["-r", "0-1,3-4", "-H", "If-None-Match: {etag}"]),
    get("/logo.png").with(&["-r", "0-1,3-4"]),
    get("/big.bin").with(&["-r", "0-99999,500000-599999,-5"]),
    get("/empty.txt").with(&["-r", "0-1,3-4"]),
    get("/style.css").with(&["-H", "Range: bytes=-0"]),
    get("/style.css").with(&["-H", "Range: bytes= 0-3"]),
    get("/style.css").with(&["-H", "Range: bytes=99999999999999999999-"]),
    get("/style.css").with(&["-H", "Range: bytes=0-99999999999999999999"]).differs(
        416,
        206,
        "RFC 9110 section 14.1.2: a last position behind the end is the end, how far behind it may be",
    ),
    get("/style.css").with(&["-H", "Range: BYTES=0-3"]),
    get("/empty.txt").with(&["-r", "0-"]),
    get("/empty.txt").with(&["-r", "0-0"]),
];

pub const SIBLINGS: &[Case] = &[
    get("/packed/x.css"),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: gzip"]).but("accept-ranges", GOES_ON),
    head("/packed/x.css").with(&["-H", "Accept-Encoding: gzip"]).but("accept-ranges", GOES_ON),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: deflate, gzip, br"]).but("accept-ranges", GOES_ON),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: gzip;q=0.5"]).but("accept-ranges", GOES_ON),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: gzip;q=0"]),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: identity"]),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: br"]),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: GZIP"]).but("accept-ranges", GOES_ON),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: gzip", "-r", "0-3"]).differs(200, 206, GOES_ON),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: gzip", "-r", "0-1,3-4"]).differs(200, 206, GOES_ON),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: gzip", "-H", "If-None-Match: {etag}"]).differs(
        304,
        200,
        "the file and its sibling have tags of their own; nginx makes one of size and time, and these have both alike",
    ),
    get("/packed/x.css").with(&["-H", "Accept-Encoding: gzip", "-H", "If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT"]),
    get("/packed/y.css").with(&["-H", "Accept-Encoding: gzip"]).but("vary", EVERY),
    get("/packed/missing.css").with(&["-H", "Accept-Encoding: gzip"]),
    get("/packed/x.css.gz").differs(200, 200, "the built-in table knows its media type, and it may have siblings itself"),
    get("/packed/").with(&["-H", "Accept-Encoding: gzip"]).but("accept-ranges", GOES_ON),
];
