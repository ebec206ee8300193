//! Where a container's files are: users that are shifted, storage that is mounted only while it runs, mounts that come while it is served,
//! two containers of one name.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{CSS, HOST, INDEX, MANIFEST, Ttrss};
use crate::support::daemon::{Daemon, PATIENCE};
use crate::support::lxc::{Container, LxcPath, PHP_SOCKET, SHIFT, Spec};
use crate::support::needs;

impl Ttrss {
    /// The sample manifest's container, of another kind, served.
    fn of_kind(spec: Spec) -> Self {
        let shifted = spec.shifted;
        let container = Container::new(Spec { name: Some("ttrss".into()), php_fpm: true, ..spec });
        container.write("/var/www/ttrss/index.php", INDEX);
        container.write("/var/www/ttrss/style.css", CSS);
        if shifted {
            container.shift();
        }
        container.start();
        let daemon = Daemon::builder().lxcpath(container.lxcpath()).manifest("ttrss.yaml", MANIFEST).start();
        daemon.wait_condition("ttrss", "Ready", PATIENCE);
        Self { daemon, container }
    }

    fn css(&self) -> String {
        let answer = self.get("/ttrss/style.css");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text()
    }
}

#[test]
fn an_unprivileged_container_is_served_though_its_files_and_sockets_are_other_users() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::of_kind(Spec { shifted: true, ..Spec::default() });
    let root = format!("/proc/{}/root", ttrss.container.pid().unwrap());
    let map = fs::read_to_string(root.replace("/root", "/uid_map")).unwrap();
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"], "it has users of its own");
    let socket = fs::metadata(format!("{root}{PHP_SOCKET}")).unwrap();
    assert!(socket.uid() > SHIFT && socket.mode() & 0o777 == 0o660, "{socket:?}");
    // What only its own users may read.
    let keep = "chown www-data /var/www/ttrss/*; chmod 0600 /var/www/ttrss/style.css; chmod 0700 /var/www/ttrss; \
                chown www-data /var/www/ttrss";
    assert!(ttrss.container.shell(keep).status.success());
    let css = fs::metadata(ttrss.container.rootfs().join("var/www/ttrss/style.css")).unwrap();
    assert!(css.uid() > SHIFT && css.permissions().mode() & 0o777 == 0o600, "{css:?}");
    assert_eq!(ttrss.css(), CSS);
    assert_eq!(ttrss.seen("/ttrss/")["hostname"], "ttrss");
    ttrss.container.restart();
    ttrss.wait_status("/ttrss/", 200);
    assert_eq!(ttrss.css(), CSS);
    ttrss.container.stop();
    ttrss.daemon.wait_reason("ttrss", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert_eq!(ttrss.css(), CSS, "its root is a directory of the host");
}

#[test]
fn storage_that_is_only_mounted_while_its_container_runs_says_so_when_it_is_stopped() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::of_kind(Spec { overlay: true, ..Spec::default() });
    let written = ttrss.container.shell("echo upper > /var/www/ttrss/style.css");
    assert!(written.status.success(), "{written:?}");
    assert_eq!(ttrss.css(), "upper\n", "of the overlay, and not of the directory below it");
    ttrss.container.stop();
    let message = ttrss.daemon.wait_reason("ttrss", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert!(message.contains("container is stopped"), "{message}");
    for path in ["/ttrss/", "/ttrss/style.css", "/ttrss/nothing"] {
        let answer = ttrss.wait_status(path, 503);
        assert_eq!(answer.header("retry-after"), "1", "{path}");
    }
    ttrss.container.start();
    ttrss.wait_status("/ttrss/", 200);
    ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
    assert_eq!(ttrss.css(), "upper\n");
}

#[test]
fn mounts_that_are_made_inside_while_it_is_served_are_seen_by_the_next_request() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let make = |line: &str| {
        let done = ttrss.container.shell(line);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    };
    assert_eq!(ttrss.css(), CSS);
    make("mkdir -p /tmp/other && echo bound > /tmp/other/style.css && mount --bind /tmp/other /var/www/ttrss");
    assert_eq!(ttrss.css(), "bound\n");
    make("mount -t tmpfs tmpfs /var/www/ttrss && echo fresh > /var/www/ttrss/style.css");
    assert_eq!(ttrss.css(), "fresh\n");
    make("umount /var/www/ttrss && umount /var/www/ttrss");
    assert_eq!(ttrss.css(), CSS);
    // On a tmpfs: an overlay over another one needs a place that can hold what it adds.
    make(
        "mkdir -p /tmp/o/upper /tmp/o/work && \
          mount -t overlay -o lowerdir=/var/www/ttrss,upperdir=/tmp/o/upper,workdir=/tmp/o/work overlay /var/www/ttrss && \
          echo over > /var/www/ttrss/style.css",
    );
    assert_eq!(ttrss.css(), "over\n");
    assert_eq!(ttrss.seen("/ttrss/")["hostname"], "ttrss", "what lies below is there too");
    make("umount /var/www/ttrss");
    assert_eq!(ttrss.css(), CSS);
}

#[test]
fn a_socket_on_a_mount_that_was_made_after_the_start_is_reached() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    ttrss.container.stop_php();
    ttrss.wait_status("/ttrss/", 503);
    for mount in [
        "mount -t tmpfs tmpfs /run/php",
        "mkdir -p /tmp/php && mount --bind /tmp/php /run/php",
        "mkdir -p /tmp/o/upper /tmp/o/work /tmp/o/lower && \
         mount -t overlay -o lowerdir=/tmp/o/lower,upperdir=/tmp/o/upper,workdir=/tmp/o/work overlay /run/php",
    ] {
        let mounted = ttrss.container.shell(mount);
        assert!(mounted.status.success(), "{mount}: {}", String::from_utf8_lossy(&mounted.stderr));
        ttrss.container.start_php();
        ttrss.wait_status("/ttrss/", 200);
        ttrss.daemon.wait_condition("ttrss", "Ready", PATIENCE);
        // Covered, by an empty one: the socket is there, and is not to be reached.
        assert!(ttrss.container.shell("mount -t tmpfs tmpfs /run/php").status.success());
        ttrss.wait_status("/ttrss/", 503);
        assert!(ttrss.container.shell("umount /run/php").status.success());
        ttrss.wait_status("/ttrss/", 200);
        ttrss.container.stop_php();
        ttrss.wait_status("/ttrss/", 503);
    }
}

#[test]
fn two_containers_of_one_name_are_told_apart_by_where_they_are_kept() {
    needs!(lxc, root, php_fpm, curl);
    let ttrss = Ttrss::served();
    let lxcpath = LxcPath::new();
    let spec = Spec { name: Some("ttrss".into()), lxcpath: Some(lxcpath), php_fpm: true, ..Spec::default() };
    let other = Container::new(spec);
    other.write("/var/www/ttrss/index.php", "<?php echo 'the other one';");
    other.write("/var/www/ttrss/style.css", "of the other one");
    let container = format!("container: {{name: ttrss, path: {}}}", other.lxcpath().display());
    let manifest =
        MANIFEST.replace("container: ttrss", &container).replace("name: ttrss}", "name: other}").replace(HOST, "other.example.org");
    ttrss.daemon.manifest("other.yaml", &manifest);
    ttrss.daemon.wait_reason("other", "ResolvedRefs", "ContainerStopped", PATIENCE);
    let ask = |path: &str| {
        let answer = ttrss.daemon.request(path).host("other.example.org").send();
        (answer.status, answer.text())
    };
    assert_eq!(ask("/ttrss/").0, 503, "the one that runs is not it");
    assert_eq!(ask("/ttrss/style.css"), (200, "of the other one".to_owned()));
    other.start();
    ttrss.daemon.wait_condition("other", "Ready", PATIENCE);
    assert_eq!(ask("/ttrss/"), (200, "the other one".to_owned()));
    assert_eq!(ttrss.seen("/ttrss/")["file"], "/var/www/ttrss/index.php");
    assert_eq!(ttrss.css(), CSS);
    ttrss.container.stop();
    ttrss.daemon.wait_reason("ttrss", "ResolvedRefs", "ContainerStopped", PATIENCE);
    assert_eq!(ask("/ttrss/"), (200, "the other one".to_owned()), "it has not stopped");
}
