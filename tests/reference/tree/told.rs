//! What lxcproxy tells the scripts of the tree otherwise than nginx, and why.

use crate::reference::wanted::{CLAIM, Difference, EACH_ITS_OWN, Holds, NOT_A_HEADER, OF_THE_CONNECTION, ONE_PATH, ONLY_NGINX, differs};

const ONE_VARIABLE: &str = "RFC 3875 section 4.1.18: fields of one name are one variable";

/// nginx takes several slashes, or an encoded one, for one.
const ONE_SLASH: Holds = |theirs, ours| {
    let merged = |path: &str| path.replace("%2F", "/").replace("//", "/");
    theirs != ours && theirs.is_some() && theirs.map(str::to_owned) == ours.map(merged)
};

pub const TOLD: &[Difference] = &[
    differs("SERVER_SOFTWARE", EACH_ITS_OWN, "it is another program"),
    differs("SERVER_PORT", EACH_ITS_OWN, "they listen side by side"),
    differs("REMOTE_PORT", EACH_ITS_OWN, "these are two connections"),
    differs(
        "PATH_INFO",
        |theirs, ours| (theirs, ours) == (Some(""), None),
        "RFC 3875 section 4.1.5: where nothing follows the script there is nothing to tell, and programs ask whether it is set",
    ),
    differs(
        "PATH_TRANSLATED",
        |theirs, ours| theirs.is_some_and(|path| path.ends_with("/www")) && ours.is_none(),
        "RFC 3875 section 4.1.6: without PATH_INFO there is none; the document root is no answer",
    ),
    differs("PATH_INFO", ONE_SLASH, ONE_PATH),
    differs("PATH_TRANSLATED", ONE_SLASH, ONE_PATH),
    differs("DOCUMENT_URI", ONE_SLASH, ONE_PATH),
    differs("SCRIPT_NAME", ONE_SLASH, ONE_PATH),
    differs("SCRIPT_FILENAME", ONE_SLASH, ONE_PATH),
    differs(
        "REMOTE_USER",
        |theirs, ours| theirs == Some("x") && ours == Some(""),
        "nginx takes the name from `Authorization`, though nobody has checked the password",
    ),
    differs("HTTP_COOKIE", |theirs, ours| (theirs, ours) == (Some("a=1 | b=2"), Some("a=1; b=2")), ONE_VARIABLE),
    differs("HTTP_X_TWICE", |theirs, ours| (theirs, ours) == (Some("1 | 2"), Some("1, 2")), ONE_VARIABLE),
    differs("HTTP_PROXY", ONLY_NGINX, "CVE-2016-5385 (httpoxy)"),
    differs("HTTP_X_REAL_IP", ONLY_NGINX, CLAIM),
    differs("HTTP_X_HOP", ONLY_NGINX, OF_THE_CONNECTION),
    differs("HTTP_TE", ONLY_NGINX, OF_THE_CONNECTION),
    differs("HTTP_CONTENT_TYPE", ONLY_NGINX, NOT_A_HEADER),
    differs("HTTP_CONTENT_LENGTH", ONLY_NGINX, NOT_A_HEADER),
    differs("HTTP_TRANSFER_ENCODING", ONLY_NGINX, OF_THE_CONNECTION),
    differs("HTTP_CONNECTION", ONLY_NGINX, OF_THE_CONNECTION),
    differs("HTTP_X_FORWARDED_FOR", ONLY_NGINX, CLAIM),
    differs("HTTP_FORWARDED", ONLY_NGINX, CLAIM),
];
