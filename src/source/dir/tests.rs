//! Every way of changing a file, seen through the listings.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use super::*;
use crate::source::MAX_FILE;

mod turns;

/// A directory, the source over it, and the last listing.
struct Stage {
    _temp: tempfile::TempDir,
    top: PathBuf,
    root: PathBuf,
    source: Dir,
    last: Arc<Listing>,
}

impl Stage {
    /// Prepares a root below `top`; then starts the source and takes its first listing.
    async fn new(prepare: impl FnOnce(&Path, &Path)) -> Self {
        Self::with(Watch::new(), prepare).await
    }

    async fn with(watch: Watch, prepare: impl FnOnce(&Path, &Path)) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let top = temp.path().canonicalize().unwrap();
        let root = top.join("m");
        fs::create_dir(&root).unwrap();
        prepare(&top, &root);
        let mut source = Dir::with(&root, watch).unwrap();
        let last = source.next().await;
        Self { _temp: temp, top, root, source, last }
    }

    /// Takes listings until one is as wanted; returns all of them.
    async fn until(&mut self, wanted: impl Fn(&Listing) -> bool) -> Vec<Arc<Listing>> {
        let mut seen = Vec::new();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while !seen.last().is_some_and(|listing: &Arc<Listing>| wanted(listing)) {
            let next = tokio::time::timeout_at(deadline, self.source.next()).await;
            self.last = next.unwrap_or_else(|_| panic!("not seen before the deadline; last: {:?}", self.last));
            seen.push(self.last.clone());
        }
        seen
    }

    /// Waits for this text in this file. Until then every listing has to show one of the texts that were allowed before.
    async fn shows(&mut self, file: &str, before: &str, after: &str) {
        for listing in self.until(|listing| text(listing, file) == Some(after)).await {
            let shown = text(&listing, file);
            assert!(shown == Some(before) || shown == Some(after), "{file} showed {shown:?} between {before:?} and {after:?}");
        }
    }
}

fn text<'a>(listing: &'a Listing, file: &str) -> Option<&'a str> {
    std::str::from_utf8(listing.files.get(file)?.bytes.as_ref().ok()?).ok()
}

fn trouble<'a>(listing: &'a Listing, file: &str) -> &'a str {
    listing.files[file].bytes.as_ref().unwrap_err()
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.files.keys().map(|name| &**name).collect()
}

#[tokio::test]
async fn a_listing_holds_manifests_of_all_subdirectories_and_nothing_that_editors_and_packages_leave() {
    let stage = Stage::new(|_, root| {
        fs::create_dir_all(root.join("sub/deeper")).unwrap();
        fs::create_dir(root.join(".git")).unwrap();
        for name in ["a.yaml", "b.yml", "c.json", "sub/d.yaml", "sub/deeper/e.yaml"] {
            fs::write(root.join(name), name).unwrap();
        }
        for name in ["a.yaml~", "a.yaml.swp", ".a.yaml", ".a.yaml.swp", "#a.yaml#", "a.yaml.dpkg-new", "a.yaml.rpmsave", "a.txt", "yaml"] {
            fs::write(root.join(name), name).unwrap();
        }
        fs::write(root.join(".git/x.yaml"), "").unwrap();
        symlink("nowhere", root.join(".#a.yaml")).unwrap();
    })
    .await;
    assert_eq!(names(&stage.last), ["a.yaml", "b.yml", "c.json", "sub/d.yaml", "sub/deeper/e.yaml"]);
    assert_eq!(stage.last.files["sub/d.yaml"].path, stage.root.join("sub/d.yaml"));
    assert_eq!(text(&stage.last, "sub/d.yaml"), Some("sub/d.yaml"));
    assert_eq!((&stage.last.problem, &stage.last.polling), (&None, &None));
}

#[tokio::test]
async fn what_is_no_readable_file_says_why() {
    let stage = Stage::new(|_, root| {
        rustix::fs::mkfifoat(rustix::fs::CWD, root.join("fifo.yaml"), rustix::fs::Mode::RUSR).unwrap();
        symlink("loop.yaml", root.join("loop.yaml")).unwrap();
        symlink("nowhere", root.join("dangling.yaml")).unwrap();
        symlink("/dev/null", root.join("device.yaml")).unwrap();
        fs::create_dir(root.join("dir.yaml")).unwrap();
        fs::write(root.join("large.yaml"), vec![b' '; usize::try_from(MAX_FILE).unwrap() + 1]).unwrap();
        fs::write(root.join("full.yaml"), vec![b' '; usize::try_from(MAX_FILE).unwrap()]).unwrap();
    })
    .await;
    assert_eq!(names(&stage.last), ["dangling.yaml", "device.yaml", "fifo.yaml", "full.yaml", "large.yaml", "loop.yaml"]);
    assert_eq!(trouble(&stage.last, "fifo.yaml"), "is a FIFO; expected a regular file");
    assert_eq!(trouble(&stage.last, "device.yaml"), "is a device; expected a regular file");
    assert_eq!(trouble(&stage.last, "dangling.yaml"), "is a link that leads nowhere");
    assert!(trouble(&stage.last, "loop.yaml").starts_with("cannot be read: "));
    assert!(trouble(&stage.last, "large.yaml").starts_with("is larger than 1048576 bytes"));
    assert_eq!(text(&stage.last, "full.yaml").unwrap().len() as u64, MAX_FILE);
}

#[tokio::test]
async fn loops_of_directories_end() {
    let stage = Stage::new(|_, root| {
        fs::create_dir(root.join("sub")).unwrap();
        fs::write(root.join("sub/a.yaml"), "a").unwrap();
        symlink("..", root.join("sub/up")).unwrap();
        symlink("sub", root.join("twin")).unwrap();
        let deep = root.join("1/2/3/4/5/6/7/8");
        fs::create_dir_all(deep.join("9")).unwrap();
        fs::write(deep.join("in.yaml"), "").unwrap();
        fs::write(deep.join("9/out.yaml"), "").unwrap();
    })
    .await;
    assert_eq!(names(&stage.last), ["1/2/3/4/5/6/7/8/in.yaml", "sub/a.yaml", "twin/a.yaml"]);
    assert_eq!(stage.last.unread.keys().collect::<Vec<_>>(), ["1/2/3/4/5/6/7/8/9"]);
    assert!(!stage.last.lacks("1/2/3/4/5/6/7/8/9/out.yaml"));
}

#[tokio::test]
async fn a_file_written_in_place_goes_from_old_to_new() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "old").unwrap()).await;
    let file = stage.root.join("a.yaml");
    for round in 0..20 {
        let before = text(&stage.last, "a.yaml").unwrap().to_owned();
        let after = format!("new {round}");
        fs::write(&file, &after).unwrap();
        stage.shows("a.yaml", &before, &after).await;
    }
}

#[tokio::test]
async fn a_half_written_file_is_not_shown_before_it_is_closed() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "old").unwrap()).await;
    let mut writer = fs::File::create(stage.root.join("a.yaml")).unwrap();
    let mut young = fs::File::create(stage.root.join("b.yaml")).unwrap();
    writer.write_all(b"half").unwrap();
    young.write_all(b"half").unwrap();
    // The listing that shows this file was taken when the other two were half-written.
    fs::write(stage.root.join("mark1.yaml"), "1").unwrap();
    stage.until(|listing| listing.files.contains_key("mark1.yaml")).await;
    assert_eq!((text(&stage.last, "a.yaml"), text(&stage.last, "b.yaml")), (Some("old"), None));
    writer.write_all(b" and half").unwrap();
    young.write_all(b" and half").unwrap();
    drop(writer);
    stage.shows("a.yaml", "old", "half and half").await;
    drop(young);
    stage.until(|listing| text(listing, "b.yaml") == Some("half and half")).await;
}

#[tokio::test]
async fn a_writer_that_never_closes_is_not_waited_for_longer_than_two_seconds() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "old").unwrap()).await;
    let mut writer = fs::File::create(stage.root.join("a.yaml")).unwrap();
    writer.write_all(b"new").unwrap();
    let begin = Instant::now();
    stage.shows("a.yaml", "old", "new").await;
    assert!(begin.elapsed() > Duration::from_millis(1500));
    drop(writer);
}

#[tokio::test]
async fn a_file_that_is_replaced_never_vanishes() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "old").unwrap()).await;
    let (file, other) = (stage.root.join("a.yaml"), stage.root.join(".a.tmp"));
    for round in 0..30 {
        let before = text(&stage.last, "a.yaml").unwrap().to_owned();
        let after = format!("new {round}");
        match round % 4 {
            0 => {
                fs::write(&other, &after).unwrap();
                fs::rename(&other, &file).unwrap();
            }
            1 => {
                fs::remove_file(&file).unwrap();
                fs::write(&file, &after).unwrap();
            }
            // As vim does.
            2 => {
                fs::rename(&file, stage.root.join("a.yaml~")).unwrap();
                fs::write(&file, &after).unwrap();
                fs::remove_file(stage.root.join("a.yaml~")).unwrap();
            }
            _ => {
                fs::remove_file(&file).unwrap();
                fs::write(&other, &after).unwrap();
                fs::hard_link(&other, &file).unwrap();
                fs::remove_file(&other).unwrap();
            }
        }
        stage.shows("a.yaml", &before, &after).await;
    }
    fs::remove_file(&file).unwrap();
    stage.until(|listing| listing.lacks("a.yaml")).await;
}

#[tokio::test]
async fn a_link_that_led_nowhere_is_gone_when_it_is_deleted() {
    for target in ["..data/a.yaml", ".hidden.yaml", "b", "../elsewhere/a.yaml"] {
        let mut stage = Stage::new(|_, root| symlink(target, root.join("a.yaml")).unwrap()).await;
        assert!(trouble(&stage.last, "a.yaml").contains("leads nowhere"));
        fs::remove_file(stage.root.join("a.yaml")).unwrap();
        stage.until(|listing| listing.files.is_empty()).await;
    }
}

#[tokio::test]
async fn a_change_is_shown_within_the_fifth_of_a_second() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "old").unwrap()).await;
    let mut times = Vec::new();
    for round in 0..15 {
        let begin = Instant::now();
        fs::write(stage.root.join("a.yaml"), format!("{round}")).unwrap();
        stage.until(|listing| text(listing, "a.yaml") == Some(&format!("{round}"))).await;
        times.push(begin.elapsed());
    }
    times.sort_unstable();
    // The median: the machine may be busy with other things.
    assert!(times[7] < Duration::from_millis(200), "{times:?}");
}

#[tokio::test]
async fn without_events_the_directory_is_polled() {
    let mut stage = Stage::with(Watch::off(), |_, root| fs::write(root.join("a.yaml"), "one").unwrap()).await;
    assert!(stage.last.polling.is_some());
    fs::write(stage.root.join("a.yaml"), "two").unwrap();
    stage.shows("a.yaml", "one", "two").await;
    fs::remove_file(stage.root.join("a.yaml")).unwrap();
    stage.until(|listing| listing.lacks("a.yaml")).await;
}

#[tokio::test]
async fn unchanged_files_share_their_content_and_an_asked_listing_comes_without_a_change() {
    let mut stage = Stage::new(|_, root| {
        fs::write(root.join("a.yaml"), "a").unwrap();
        fs::write(root.join("b.yaml"), "b").unwrap();
    })
    .await;
    let first = stage.last.clone();
    fs::write(stage.root.join("a.yaml"), "changed").unwrap();
    stage.shows("a.yaml", "a", "changed").await;
    assert!(Arc::ptr_eq(&first.files["b.yaml"], &stage.last.files["b.yaml"]));
    // Touched, hidden and foreign files are no news; the listing that was asked for is.
    fs::write(stage.root.join("b.yaml"), "b").unwrap();
    fs::write(stage.root.join("x.txt"), "").unwrap();
    stage.source.relist().ask();
    let asked = stage.until(|_| true).await.remove(0);
    assert!(asked.files.iter().all(|(name, file)| Arc::ptr_eq(file, &stage.last.files[name])));
    assert!(Arc::ptr_eq(&first.files["b.yaml"], &asked.files["b.yaml"]));
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_nothing() {
    let mut stage = Stage::new(|_, root| fs::write(root.join("a.yaml"), "one").unwrap()).await;
    fs::write(stage.root.join("a.yaml"), "two").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        assert!(Instant::now() < deadline);
        // Dropped again and again, at whatever point it is.
        if let Ok(listing) = tokio::time::timeout(Duration::from_millis(1), stage.source.next()).await
            && text(&listing, "a.yaml") == Some("two")
        {
            break;
        }
    }
}
