//! `files.precompressed`: siblings in the place of files, chosen by `Accept-Encoding`.

use std::fs;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use super::{decoded, prose, write};
use crate::support::curl::Response;
use crate::support::daemon::Daemon;
use crate::support::{needs, scratch};

struct House {
    daemon: Daemon,
    root: TempDir,
}

impl House {
    /// Everything is `www`; siblings are looked for in this order.
    fn new(precompressed: &str, filters: &str) -> Self {
        let root = scratch();
        for name in ["all.css", "gz.css", "plain.css", "index.html", "run.php"] {
            write(root.path(), &format!("www/{name}"), &prose(5000));
        }
        for name in ["all.css", "index.html", "run.php"] {
            sibling(root.path(), name, "zst");
            sibling(root.path(), name, "br");
            sibling(root.path(), name, "gz");
        }
        sibling(root.path(), "gz.css", "gz");
        let manifest = format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: shop}}
spec:
  container: {{runtime: Directory, rootfs: {root}}}
  backends: [{{name: php, fastcgi: {{unix: /run/none.sock}}}}]
  rules:
  - matches: [{{path: {{value: /spa}}}}]
    files: {{root: /www, try: [\"{{path}}\", /index.html], precompressed: {precompressed}}}
  - filters: [{filters}]
    files:
      root: /www
      precompressed: {precompressed}
      cacheControl: max-age=60
      scripts: [{{extension: .php, backend: php}}]
",
            root = root.path().display()
        );
        Self { daemon: Daemon::builder().manifest("shop.yaml", &manifest).start(), root }
    }

    fn get(&self, path: &str, accept: &str, fields: &[(&str, &str)]) -> Response {
        let request = self.daemon.request(path).header("Accept-Encoding", accept);
        fields.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    }
}

/// Its content says that it is the sibling: it ends in its own name.
fn text(name: &str, ending: &str) -> String {
    format!("{}{name}.{ending}", prose(5000))
}

fn sibling(root: &Path, name: &str, ending: &str) {
    let text = text(name, ending).into_bytes();
    let bytes = match ending {
        "zst" => zstd::stream::encode_all(&*text, 3).unwrap(),
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 22);
            encoder.write_all(&text).unwrap();
            encoder.into_inner()
        }
    };
    fs::write(root.join(format!("www/{name}.{ending}")), bytes).unwrap();
}

#[test]
fn the_sibling_that_the_client_likes_best_is_sent() {
    needs!(curl);
    let house = House::new("[zstd, br, gzip]", "");
    for (path, accept, ending) in [
        ("/all.css", "gzip, deflate, br, zstd", "zst"),
        ("/all.css", "gzip, br", "br"),
        ("/all.css", "gzip;q=1.0, br;q=0.9, zstd;q=0", "gz"),
        ("/all.css", "x-gzip", "gz"),
        ("/all.css", "*;q=0.1", "zst"),
        ("/all.css", "identity;q=0, br", "br"),
        ("/all.css", "", ""),
        ("/all.css", "deflate", ""),
        ("/all.css", "br;q=0.5, identity", ""),
        ("/gz.css", "gzip, br, zstd", "gz"),
        ("/gz.css", "br, zstd", ""),
        ("/plain.css", "gzip, br, zstd", ""),
        ("/plain.css", "identity;q=0, *;q=0", ""),
        ("/", "br", "br"),
        ("/spa/no/such", "br", "br"),
    ] {
        let answer = house.get(path, accept, &[]);
        let file = ["all.css", "gz.css", "plain.css"].into_iter().find(|name| path[1..] == **name).unwrap_or("index.html");
        let (coding, expected) = match ending {
            "" => ("", prose(5000)),
            "zst" => ("zstd", text(file, ending)),
            "gz" => ("gzip", text(file, ending)),
            _ => ("br", text(file, ending)),
        };
        assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{path} {accept:?}");
        assert!(decoded(&answer) == expected, "{path} {accept:?}");
        assert_eq!((answer.header("vary"), answer.header("accept-ranges")), ("Accept-Encoding", "bytes"), "{path} {accept:?}");
        let media = if file == "index.html" { "text/html; charset=utf-8" } else { "text/css; charset=utf-8" };
        assert_eq!(answer.header("content-type"), media, "{path} {accept:?}");
        assert!(answer.header("etag").starts_with('"'), "{path} {accept:?}");
    }
    let compressed = house.daemon.request("/all.css").arg("--compressed").send();
    assert!(compressed.status == 200 && compressed.text().starts_with(&prose(5000)), "curl decodes it");
    let gzip_first = House::new("[gzip, br]", "");
    assert_eq!(gzip_first.get("/all.css", "br, gzip, zstd", &[]).header("content-encoding"), "gzip");
    let none = House::new("[]", "");
    let answer = none.get("/all.css", "br, gzip, zstd", &[]);
    assert_eq!((answer.header("content-encoding"), answer.has("vary"), answer.text()), ("", false, prose(5000)));
}

#[test]
fn conditions_and_ranges_are_those_of_the_sibling() {
    needs!(curl);
    let house = House::new("[br]", "");
    let bytes = fs::read(house.root.path().join("www/all.css.br")).unwrap();
    let ask = |fields: &[(&str, &str)]| house.get("/all.css", "br", fields);
    let (plain, whole) = (house.get("/all.css", "", &[]), ask(&[]));
    let tag = whole.header("etag");
    assert!(whole.body == bytes && tag != plain.header("etag"));
    let head = house.daemon.request("/all.css").header("Accept-Encoding", "br").method("HEAD").send();
    assert_eq!((head.status, head.header("content-length")), (200, bytes.len().to_string().as_str()));
    assert_eq!((head.header("content-encoding"), head.header("etag"), head.header("vary")), ("br", tag, "Accept-Encoding"));
    let known = ask(&[("If-None-Match", tag)]);
    assert_eq!((known.status, known.header("etag"), known.header("vary")), (304, tag, "Accept-Encoding"));
    assert_eq!(known.header("cache-control"), "max-age=60");
    assert_eq!(ask(&[("If-None-Match", plain.header("etag"))]).status, 200);
    assert_eq!(ask(&[("If-Match", plain.header("etag"))]).status, 412);
    let part = ask(&[("Range", "bytes=5-9"), ("If-Range", tag)]);
    assert_eq!((part.status, part.header("content-encoding"), part.header("vary")), (206, "br", "Accept-Encoding"));
    assert!(part.body == bytes[5..10] && part.header("content-range") == format!("bytes 5-9/{}", bytes.len()));
    assert_eq!(ask(&[("Range", "bytes=5-9"), ("If-Range", plain.header("etag"))]).status, 200);
    let several = ask(&[("Range", "bytes=0-1,5-9")]);
    assert_eq!((several.status, several.header("content-encoding"), several.header("vary")), (206, "br", "Accept-Encoding"));
    assert!(several.body.windows(5).any(|five| five == &bytes[5..10]));
    assert_eq!(ask(&[("Range", &format!("bytes={}-", bytes.len()))]).status, 416);
}

#[test]
fn a_sibling_is_not_compressed_again_and_a_file_without_one_is() {
    needs!(curl);
    let house = House::new("[br, gzip]", "{type: Compression, compression: {}}");
    for (path, accept, coding, strong) in [
        ("/all.css", "br, gzip, zstd", "br", true),
        ("/all.css", "zstd", "zstd", false),
        ("/gz.css", "gzip", "gzip", true),
        ("/gz.css", "gzip;q=0.1, br", "gzip", true),
        ("/plain.css", "br, gzip, zstd", "zstd", false),
        ("/all.css", "", "", true),
    ] {
        let answer = house.get(path, accept, &[]);
        assert_eq!((answer.status, answer.header("content-encoding")), (200, coding), "{path} {accept}");
        assert!(decoded(&answer).starts_with(&prose(5000)), "{path} {accept}");
        assert_eq!(answer.header("etag").starts_with('"'), strong, "{path} {accept}");
        let vary: Vec<_> = answer.headers.iter().filter(|(name, _)| name == "vary").map(|(_, value)| value.as_str()).collect();
        assert_eq!(vary, ["Accept-Encoding"], "{path} {accept}");
        let again = house.get(path, accept, &[("If-None-Match", answer.header("etag"))]);
        assert_eq!((again.status, again.header("etag"), again.header("vary")), (304, answer.header("etag"), "Accept-Encoding"), "{path}");
    }
}

#[test]
fn an_outdated_sibling_and_the_text_of_a_script_stay_where_they_are() {
    needs!(curl);
    let house = House::new("[zstd, br, gzip]", "");
    let file = |name: &str| fs::File::options().write(true).open(house.root.path().join("www").join(name)).unwrap();
    let old = file("all.css").metadata().unwrap().modified().unwrap() - std::time::Duration::from_secs(60);
    file("all.css.zst").set_modified(old).unwrap();
    assert_eq!(house.get("/all.css", "zstd, br", &[]).header("content-encoding"), "br", "the next one is up to date");
    for ending in ["zst", "br", "gz"] {
        let direct = house.get(&format!("/run.php.{ending}"), "zstd, br, gzip", &[]);
        assert_eq!((direct.status, direct.header("content-encoding")), (404, ""), "{ending}");
    }
    assert_eq!(house.get("/run.php", "zstd, br, gzip", &[]).status, 503, "it is run, and nobody is there who runs it");
}
