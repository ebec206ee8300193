//! What hangs or drowns a careless reader: links to devices, FIFOs, endless files, and trees without an end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use lxcproxy::source::{Dir, FileContent, Problem, Source, list};

use super::SOON;

/// A look at a tree without an end may take so long. It takes a few seconds in a debug build.
const BOUNDED: Duration = Duration::from_secs(60);

fn directory() -> (tempfile::TempDir, std::path::PathBuf) {
    let temp = crate::support::scratch();
    let root = temp.path().canonicalize().unwrap().join("m");
    fs::create_dir(&root).unwrap();
    (temp, root)
}

#[tokio::test]
async fn links_to_what_is_no_manifest_are_told_and_hold_nothing_up() {
    let (temp, root) = directory();
    let beside = |name: &str| temp.path().join(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, beside("fifo"), rustix::fs::Mode::RUSR).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(beside("socket")).unwrap();
    fs::File::create(beside("huge")).unwrap().set_len(1 << 40).unwrap();
    symlink(&root, beside("around")).unwrap();
    let snares: [(&str, &Path, &str); 8] = [
        ("zero.yaml", Path::new("/dev/zero"), "is a device; expected a regular file"),
        ("tty.yaml", Path::new("/dev/tty"), "is a device; expected a regular file"),
        ("fifo.yaml", &beside("fifo"), "is a FIFO; expected a regular file"),
        ("socket.yaml", &beside("socket"), "is a socket; expected a regular file"),
        ("huge.yaml", &beside("huge"), "is larger than 1048576 bytes, the most that a manifest may have"),
        // It says that it is empty.
        ("endless.yaml", Path::new("/proc/kallsyms"), "is larger than 1048576 bytes, the most that a manifest may have"),
        ("loop.yaml", &root.join("loop.yaml"), "cannot be read: Too many levels of symbolic links (os error 40)"),
        ("stdin.yaml", Path::new("/proc/self/fd/no"), "is a link that leads nowhere"),
    ];
    for (name, target, _) in snares {
        symlink(target, root.join(name)).unwrap();
    }
    symlink(beside("around"), root.join("around")).unwrap();
    fs::write(root.join("good.yaml"), "good").unwrap();
    let mut source = Dir::open(&root).unwrap();
    let first = tokio::time::timeout(SOON, source.next()).await.expect("nothing hangs");
    for (name, _, why) in snares {
        assert_eq!(first.files[name].bytes, Err(why.to_owned()), "{name}");
    }
    assert_eq!((first.files.len(), &first.problem), (snares.len() + 1, &None));
    // The good one is followed as if it were alone.
    fs::write(root.join("good.yaml"), "better").unwrap();
    let better = |file: &FileContent| file.bytes.as_deref() == Ok(&b"better"[..]);
    let followed = async { while !better(&source.next().await.files["good.yaml"]) {} };
    tokio::time::timeout(SOON, followed).await.expect("it is followed");
}

#[test]
fn a_tree_that_links_itself_many_times_over_is_cut_off() {
    let (_temp, root) = directory();
    // 6^8 paths, none of them a loop.
    for level in 0..9 {
        let dir = root.join(format!(".level{level}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("a.yaml"), "").unwrap();
        for twin in 0..6 {
            symlink(format!("../.level{}", level + 1), dir.join(format!("twin{twin}"))).unwrap();
        }
    }
    symlink(".level0", root.join("bomb")).unwrap();
    let begin = Instant::now();
    let listing = list(&root);
    assert!(matches!(listing.problem, Some(Problem::TooMany(..))), "{:?}", listing.problem);
    assert!(begin.elapsed() < BOUNDED, "{:?}", begin.elapsed());
    assert!(!listing.lacks("any.yaml"), "what was not read may be there");
}
