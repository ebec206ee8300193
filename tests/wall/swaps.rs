//! Links, directories and kinds of files that are swapped as fast as the machine can, while clients ask: never a byte from outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use tempfile::TempDir;

use crate::support::daemon::Daemon;
use crate::support::keepalive::Agent;
use crate::support::{self, needs};

const MARKER: &str = "a secret of the host";
const INSIDE: &str = "a word of the container";
const LONG: Duration = Duration::from_secs(10);
const CLIENTS: usize = 4;

/// A container's root, and what is beside it on the host.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: support::scratch() };
        for directory in ["root/www/real", "root/lib", "outside/real"] {
            fs::create_dir_all(place.path(directory)).unwrap();
        }
        for (file, text) in
            [("root/www/in.txt", INSIDE), ("root/www/real/f.txt", INSIDE), ("root/lib/in.txt", INSIDE), ("outside/f.txt", MARKER)]
        {
            fs::write(place.path(file), text).unwrap();
        }
        fs::write(place.path("outside/real/f.txt"), MARKER).unwrap();
        // What a path that climbs out of the document root's place would meet.
        fs::write(place.path("f.txt"), MARKER).unwrap();
        fs::write(place.path("in.txt"), MARKER).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn manifest(&self, name: &str, symlinks: &str) -> String {
        format!(
            "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: {name}}}
spec:
  container: {{runtime: Directory, rootfs: {}}}
  hostnames: [{name}.test]
  rules:
  - files: {{root: /www, symlinks: {symlinks}}}
",
            self.path("root").display()
        )
    }

    fn daemon(&self) -> Daemon {
        let builder = ["Follow", "Beneath", "Deny"].iter().fold(Daemon::builder(), |builder, symlinks| {
            let name = symlinks.to_lowercase();
            builder.manifest(&format!("{name}.yaml"), &self.manifest(&name, symlinks))
        });
        builder.start()
    }
}

/// Swaps by `swap` while four clients ask for `paths` of each App, for ten seconds. Returns for each App how many answers had the word of
/// the container.
fn besiege(daemon: &Daemon, paths: &[&str], swap: impl Fn(usize) + Sync) -> [usize; 3] {
    const HOSTS: [&str; 3] = ["follow.test", "beneath.test", "deny.test"];
    let over = AtomicBool::new(false);
    let end = Instant::now() + LONG;
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !over.load(Ordering::Relaxed) {
                swap(turn);
                turn += 1;
            }
        });
        let client = || {
            let mut agent = Agent::connect(daemon.address());
            let mut found = [0; 3];
            while Instant::now() < end {
                for (host, found) in HOSTS.iter().zip(&mut found) {
                    for path in paths {
                        let (status, head, body) = agent.fetch(path, host);
                        let text = String::from_utf8_lossy(&body);
                        assert!(!text.contains(MARKER), "{host}{path}: {head}{text}");
                        assert!([200, 301, 404].contains(&status), "{host}{path}: {head}{text}");
                        if status == 200 {
                            assert_eq!(text, INSIDE, "{host}{path}: {head}");
                            *found += 1;
                        }
                    }
                }
            }
            found
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let all = clients.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>();
        over.store(true, Ordering::Relaxed);
        all.into_iter().fold([0; 3], |sum, found| {
            let found = found.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            std::array::from_fn(|app| sum[app] + found[app])
        })
    })
}

/// A link is put over another in one step.
fn relink(target: impl AsRef<Path>, link: &Path) {
    let new = link.with_extension("new");
    symlink(target, &new).unwrap();
    fs::rename(new, link).unwrap();
}

#[test]
fn a_link_that_is_swapped_between_inside_and_outside_gives_not_one_byte_from_outside() {
    let place = Place::new();
    let (www, outside) = (place.path("root/www"), place.path("outside/f.txt"));
    symlink("in.txt", www.join("link.txt")).unwrap();
    let daemon = place.daemon();
    let targets = [
        PathBuf::from("in.txt"),
        outside,
        PathBuf::from("../../outside/f.txt"),
        PathBuf::from("/lib/in.txt"),
        PathBuf::from("../../in.txt"),
    ];
    let [follow, beneath, deny] = besiege(&daemon, &["/link.txt"], |turn| relink(&targets[turn % targets.len()], &www.join("link.txt")));
    assert!(follow > 0 && beneath > 0, "{follow} {beneath}");
    assert_eq!(deny, 0);
}

#[test]
fn a_directory_that_is_exchanged_for_a_link_or_carried_out_gives_not_one_byte_from_outside() {
    let place = Place::new();
    let (www, root) = (place.path("root/www"), place.path("root"));
    symlink(place.path("outside/real"), www.join("away")).unwrap();
    // A way up that starts in a directory which is carried out of the root and back, in the midst of somebody's walk.
    fs::create_dir_all(root.join("www/deep/er")).unwrap();
    symlink("../../in.txt", root.join("www/deep/er/up.txt")).unwrap();
    let daemon = place.daemon();
    let (inside, outside) = (root.join("www/deep"), place.path("outside/deep"));
    let [follow, beneath, deny] = besiege(&daemon, &["/real/f.txt", "/deep/er/up.txt"], |turn| {
        renameat_with(CWD, www.join("real"), CWD, www.join("away"), RenameFlags::EXCHANGE).unwrap();
        let (from, to) = if turn % 2 == 0 { (&inside, &outside) } else { (&outside, &inside) };
        fs::rename(from, to).unwrap();
    });
    assert!(follow > 0 && beneath > 0 && deny > 0, "{follow} {beneath} {deny}");
}

#[test]
fn a_file_that_is_swapped_for_a_pipe_a_socket_a_device_or_a_directory_is_a_file_or_nothing() {
    needs!(root);
    let place = Place::new();
    let www = place.path("root/www");
    let kinds = place.path("root/kinds");
    fs::create_dir(&kinds).unwrap();
    fs::create_dir(kinds.join("directory")).unwrap();
    mknodat(CWD, kinds.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    // A device that reads without end (/dev/zero).
    mknodat(CWD, kinds.join("device"), FileType::CharacterDevice, Mode::RWXU, rustix::fs::makedev(1, 5)).unwrap();
    let _listener = UnixListener::bind(kinds.join("socket")).unwrap();
    let daemon = place.daemon();
    let others = ["pipe", "socket", "device", "directory"];
    let [follow, beneath, deny] = besiege(&daemon, &["/in.txt"], |turn| {
        let other = kinds.join(others[turn / 2 % others.len()]);
        renameat_with(CWD, www.join("in.txt"), CWD, other, RenameFlags::EXCHANGE).unwrap();
    });
    assert!(follow > 0 && beneath > 0 && deny > 0, "{follow} {beneath} {deny}");
}
