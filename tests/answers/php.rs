//! The same with real php-fpm in a real container: what it flushes, and files that it has sent in its stead.

use super::stream::Reader;
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, Spec};
use crate::support::needs;

/// Says a line, and the next once the test allows it.
const WAITS: &str = "<?php
header('Content-Type: text/plain');
echo \"first\\n\";
flush();
while (!file_exists('/var/lib/go')) { usleep(1000); clearstatcache(); }
echo \"second\\n\";
";
const SENDS: &str =
    "<?php header('X-Accel-Redirect: /protected/' . $_GET['file']); header('Content-Type:' . ($_GET['type'] ?? '')); echo 'not this';";
const SENDFILE: &str = "<?php header('X-Sendfile: /srv/files/' . $_GET['file']); echo 'not this';";

/// A container with these scripts, and a daemon that serves them. The daemon goes first.
fn served() -> (Container, Daemon) {
    let container = Container::new(Spec { php_fpm: true, ..Spec::default() });
    for (name, text) in [("waits", WAITS), ("sends", SENDS), ("sendfile", SENDFILE)] {
        container.write(&format!("/var/www/{name}.php"), text);
    }
    container.write("/srv/files/report.pdf", "%PDF of the container");
    container.write("/etc/secret", "secret");
    container.link("/var/lib/kept", "/srv/files/kept");
    container.write("/var/lib/kept/x.txt", "behind a link of its own");
    container.link("/etc/hostname", "/srv/files/hostname");
    container.link("../../../../../../../../proc/1/root/etc/passwd", "/srv/files/climb");
    container.start();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: php}}
spec:
  container: {}
  backends:
  - name: fpm
    fastcgi: {{unix: /run/php/php8.2-fpm.sock}}
    internalFiles: [{{path: /protected, root: /srv/files}}]
  rules:
  - filters: [{{type: Compression, compression: {{}}}}]
    files: {{root: /var/www, scripts: [{{extension: .php, backend: fpm}}]}}
",
        container.name()
    );
    let daemon = Daemon::builder().lxcpath(container.lxcpath()).manifest("php.yaml", &manifest).start();
    daemon.wait_condition("php", "Ready", PATIENCE);
    (container, daemon)
}

#[test]
fn what_a_script_flushes_is_read_before_the_script_ends_in_every_coding() {
    needs!(lxc, root, php_fpm, curl);
    let (container, daemon) = served();
    for coding in ["zstd", "br", "gzip"] {
        let mut reader = Reader::new(&daemon, "/waits.php", coding);
        assert_eq!(reader.line(), "first\n", "{coding}");
        container.write("/var/lib/go", "");
        assert_eq!((reader.line().as_str(), reader.line().as_str()), ("second\n", ""), "{coding}");
        std::fs::remove_file(container.rootfs().join("var/lib/go")).unwrap();
    }
}

#[test]
fn a_script_has_a_file_of_its_container_sent() {
    needs!(lxc, root, php_fpm, curl);
    let (container, daemon) = served();
    for (path, status, text, content_type) in [
        ("/sends.php?file=report.pdf", 200, "%PDF of the container", "application/pdf"),
        ("/sends.php?file=report.pdf&type=text/own", 200, "%PDF of the container", "text/own;charset=UTF-8"),
        ("/sendfile.php?file=report.pdf", 200, "%PDF of the container", "text/html; charset=UTF-8"),
        ("/sends.php?file=kept/x.txt", 200, "behind a link of its own", "text/plain; charset=utf-8"),
        ("/sends.php?file=hostname", 200, container.name(), "application/octet-stream"),
        ("/sends.php?file=climb", 404, "app: php", "text/plain; charset=utf-8"),
        ("/sends.php?file=none", 404, "app: php", "text/plain; charset=utf-8"),
        ("/sends.php?file=../../etc/secret", 502, "app: php", "text/plain; charset=utf-8"),
        ("/sendfile.php?file=../../etc/secret", 502, "app: php", "text/plain; charset=utf-8"),
    ] {
        let answer = daemon.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (status, content_type), "{path}: {}", answer.text());
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
        assert!(!answer.has("x-accel-redirect") && !answer.has("x-sendfile"), "{path}");
    }
    let part = daemon.request("/sends.php?file=report.pdf").header("Range", "bytes=0-3").send();
    assert_eq!((part.status, part.text().as_str()), (206, "%PDF"));
}
