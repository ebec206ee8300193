//! What uploads cost in memory: as much as goes by at once, however long they are.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, PHP_FPM, Spec};
use crate::support::{needs, run};

/// Kilobytes that the process may have at its peak, all that it has when idle included, but for the pages of its program: a debug build has
/// tens of megabytes of those.
const MOST: u64 = 20_000;

/// What php-fpm needs for that.
const SETTINGS: &str = "\
php_admin_value[post_max_size] = 0
php_admin_value[enable_post_data_reading] = 0
php_admin_value[upload_tmp_dir] = /var/lib/uploads
php_admin_value[max_execution_time] = 0
";

/// Reads the body away in pieces, and says how long it was and how long it was said to be.
const COUNTS: &str = "<?php
$length = 0;
for ($body = fopen('php://input', 'r'); !feof($body); $length += strlen(fread($body, 1 << 20)));
echo $length, ' of ', $_SERVER['CONTENT_LENGTH'], \"\\n\";
";

/// php-fpm that takes a body of any length; it keeps what it has read in a file, which goes where there is room for it.
fn php() -> Container {
    let container = Container::new(Spec { php_fpm: true, ..Spec::default() });
    container.write("/etc/php-fpm.conf", &[PHP_FPM, SETTINGS].concat());
    container.write("/var/www/counts.php", COUNTS);
    let uploads = container.rootfs().join("var/lib/uploads");
    fs::create_dir(&uploads).unwrap();
    fs::set_permissions(&uploads, Permissions::from_mode(0o777)).unwrap();
    container.start();
    container
}

/// Kilobytes: `VmHWM`, the peak of what was resident, or another line of the daemon's status.
fn memory(daemon: &Daemon, line: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let value = status.lines().find_map(|found| found.strip_prefix(line)).unwrap_or_else(|| panic!("{line}: {status}"));
    value.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn uploads_of_two_gigabytes_to_php_fpm_take_less_than_20_megabytes_of_the_proxy() {
    needs!(lxc, root, php_fpm, curl);
    let container = php();
    let manifest = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: php}}
spec:
  container: {}
  backends:
  - name: fpm
    fastcgi: {{unix: /run/php/php8.2-fpm.sock}}
  rules:
  - limits: {{requestBody: Unlimited}}
    files: {{root: /var/www, scripts: [{{extension: .php, backend: fpm}}]}}
",
        container.name()
    );
    let daemon = Daemon::builder().lxcpath(container.lxcpath()).manifest("php.yaml", &manifest).arg("--threads").arg("1").start();
    daemon.wait_condition("php", "Ready", PATIENCE);
    let program = memory(&daemon, "RssFile");
    // Announced, it streams; in chunks, it is spooled before php-fpm sees it, so it goes to disk twice: a shorter one says as much.
    for (length, field) in [(2_u64 << 30, "X-Length: announced"), (200 << 20, "Transfer-Encoding: chunked")] {
        let body = daemon.scratch().join("body");
        File::create(&body).unwrap().set_len(length).unwrap();
        let mut curl = Command::new("curl");
        curl.args(["-q", "-sS", "--fail", "--max-time", "600", "--noproxy", "*", "-H", field, "-T"]);
        let said = run(curl.arg(&body).arg(daemon.url("/counts.php")));
        assert_eq!(said, format!("{length} of {length}\n"), "{field}");
        let peak = memory(&daemon, "VmHWM");
        assert!(peak < program + MOST, "{field}: {peak} kB at the peak, {program} kB of them the program");
    }
}
