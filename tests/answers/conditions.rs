//! Conditional and partial requests for answers that are compressed: caches stay right.

use super::{Says, Shop, decoded, prose};
use crate::support::curl::Response;
use crate::support::needs;

fn shop() -> Shop {
    let says = Says { rule: "filters: [{type: Compression, compression: {}}]", ..Says::default() };
    Shop::new(&[("www/files/a.css", &prose(5000)), ("www/files/a.png", &prose(5000))], &says, |_, _| false)
}

fn ask(shop: &Shop, fields: &[(&str, &str)]) -> Response {
    let request = shop.daemon.request("/files/a.css").header("Accept-Encoding", "br");
    fields.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
}

#[test]
fn what_a_client_has_in_a_coding_is_not_sent_again() {
    needs!(curl);
    let shop = shop();
    let first = ask(&shop, &[]);
    let weak = first.header("etag").to_owned();
    let strong = weak.strip_prefix("W/").expect("it is weak").to_owned();
    let again = ask(&shop, &[("If-None-Match", &weak)]);
    assert_eq!((again.status, again.header("etag"), again.header("vary"), again.body.len()), (304, &*weak, "Accept-Encoding", 0));
    let listed = ask(&shop, &[("If-None-Match", &format!("\"other\", {weak}"))]);
    assert_eq!((listed.status, listed.header("etag")), (304, &*weak));
    let as_it_is = ask(&shop, &[("If-None-Match", &strong)]);
    assert_eq!((as_it_is.status, as_it_is.header("etag")), (304, &*strong), "it has the file as it is");
    let other = ask(&shop, &[("If-None-Match", "W/\"other\"")]);
    assert_eq!((other.status, other.header("content-encoding")), (200, "br"));
    shop.write("www/files/a.css", &prose(6000));
    let changed = ask(&shop, &[("If-None-Match", &weak)]);
    assert_eq!((changed.status, decoded(&changed)), (200, prose(6000)));
    assert_ne!(changed.header("etag"), weak);
}

#[test]
fn a_part_is_one_of_the_file_as_it_is() {
    needs!(curl);
    let shop = shop();
    let weak = ask(&shop, &[]).header("etag").to_owned();
    let part = ask(&shop, &[("Range", "bytes=1-4")]);
    assert_eq!((part.status, part.header("content-encoding"), part.text()), (206, "", prose(5000)[1..5].to_owned()));
    let strong = part.header("etag").to_owned();
    assert_eq!(strong, weak["W/".len()..]);
    let resumed = ask(&shop, &[("Range", "bytes=1-4"), ("If-Range", &strong)]);
    assert_eq!((resumed.status, resumed.body.len()), (206, 4));
    let encoded = ask(&shop, &[("Range", "bytes=1-4"), ("If-Range", &weak)]);
    assert_eq!((encoded.status, decoded(&encoded)), (200, prose(5000)), "a part of the one does not fit the other");
    let unsatisfiable = ask(&shop, &[("Range", "bytes=9999-")]);
    assert_eq!((unsatisfiable.status, unsatisfiable.header("content-encoding")), (416, ""));
}
