//! Files of the host that come, change and go -> news, by inotify on their directory: machined's records, files with pids.
//!
//! In: a directory, there or not. Out: [`News`] by the names of files. Never: a failure for want of a watch; more watches than the path
//! of the directory has parts; so many instances of inotify that other programs have none.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::{News, Place};
use crate::container::readiness::register;

/// Directories that are listened to at one time. Each takes an instance of inotify, of which a user has some 128 for all its programs
/// (`fs.inotify.max_user_instances`).
static SEATS: Semaphore = Semaphore::const_new(32);

/// A directory above that is never still costs a bounded number of looks.
const DISTANCE: Duration = Duration::from_millis(50);

/// The watches on a directory, and on those above it.
struct Watches {
    inotify: AsyncFd<OwnedFd>,
    /// The directory's own; `None`: it is not there.
    own: Option<i32>,
    /// For each directory above, the name in it that leads on.
    above: HashMap<i32, OsString>,
}

/// What a read of the queue told.
enum Heard {
    /// These files changed; perhaps none.
    Files(BTreeSet<String>),
    /// The directory, or one above it, is another one now; or events were lost.
    Directory,
    /// The queue was empty.
    Nothing,
}

/// Passes on what happens to files of a directory, while anybody wants to hear it.
pub(super) async fn listen(directory: &Path, place: &Place, news: &mpsc::Sender<News>) -> io::Result<()> {
    listen_seated(&SEATS, directory, place, news).await
}

/// The same, if there is a seat.
async fn listen_seated(seats: &Semaphore, directory: &Path, place: &Place, news: &mpsc::Sender<News>) -> io::Result<()> {
    let _seat = seats.try_acquire().map_err(|_| io::Error::other("too many directories are listened to"))?;
    loop {
        let watches = Watches::on(directory)?;
        // Anything may have happened before they stood.
        if news.send(News::Any(place.clone())).await.is_err() || !relay(&watches, place, news).await? {
            return Ok(());
        }
        sleep(DISTANCE).await;
    }
}

/// Passes on what is heard, until other watches are needed (`true`) or nobody wants to hear it.
async fn relay(watches: &Watches, place: &Place, news: &mpsc::Sender<News>) -> io::Result<bool> {
    loop {
        let mut ready = watches.inotify.readable().await?;
        match watches.drain() {
            Heard::Nothing => ready.clear_ready(),
            Heard::Directory => return Ok(true),
            Heard::Files(names) => {
                for name in names {
                    if news.send(News::Of(place.clone(), name)).await.is_err() {
                        return Ok(false);
                    }
                }
            }
        }
    }
}

impl Watches {
    /// From the top: a directory that appears meanwhile is seen by the watch above it.
    #[allow(clippy::disallowed_methods, reason = "directories of the host, named by its administrator or by systemd")]
    fn on(directory: &Path) -> io::Result<Self> {
        let inotify = register(init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?, Interest::READABLE)?;
        let mut watches = Self { inotify, own: None, above: HashMap::new() };
        let levels: Vec<&Path> = directory.ancestors().filter(|level| !level.as_os_str().is_empty()).collect();
        for (number, level) in levels.iter().enumerate().rev() {
            let watch = match add_watch(watches.inotify.get_ref(), *level, mask()) {
                Ok(watch) => watch,
                Err(Errno::NOENT | Errno::NOTDIR) => break,
                Err(error) => return Err(error.into()),
            };
            match number.checked_sub(1).map(|below| levels[below].file_name()) {
                None => watches.own = Some(watch),
                Some(Some(name)) => drop(watches.above.insert(watch, name.to_owned())),
                // `..` leads up, to a directory that is watched already.
                Some(None) => {}
            }
        }
        Ok(watches)
    }

    fn drain(&self) -> Heard {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(self.inotify.get_ref(), &mut buffer);
        let mut files = None::<BTreeSet<String>>;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            let files = files.get_or_insert_default();
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let lost = event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            match name {
                Some(name) if self.own == Some(event.wd()) => drop(files.insert(name.to_string_lossy().into_owned())),
                Some(name) if !lost && self.above.get(&event.wd()).is_none_or(|leads| leads != name) => {}
                // It is on the way to the directory; or about a watched directory itself.
                _ => return Heard::Directory,
            }
            if reader.is_buffer_empty() {
                break;
            }
        }
        files.map_or(Heard::Nothing, Heard::Files)
    }
}

fn mask() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ONLYDIR
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The next piece of news; `None`: about anything.
    async fn next(news: &mut mpsc::Receiver<News>) -> Option<String> {
        match tokio::time::timeout(Duration::from_secs(10), news.recv()).await.unwrap().unwrap() {
            News::Of(_, name) => Some(name),
            News::Any(_) => None,
        }
    }

    /// Waits for news of a file; others may come before.
    async fn of(news: &mut mpsc::Receiver<News>, name: &str) {
        while next(news).await.as_deref() != Some(name) {}
    }

    #[tokio::test]
    async fn a_directory_is_listened_to_as_soon_as_it_is_there_and_again_when_it_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("systemd/machines");
        let (sender, mut news) = mpsc::channel(64);
        let place = Place::PidFiles(directory.clone());
        let listening = directory.clone();
        let task = tokio::spawn(async move { listen(&listening, &place, &sender).await });
        assert_eq!(next(&mut news).await, None, "it may have happened before");
        for _ in 0..2 {
            fs::create_dir_all(&directory).unwrap();
            // The news that it listens may come once for each directory that was made.
            fs::write(directory.join("seen"), "").unwrap();
            let mut number = 0;
            while next(&mut news).await.is_none() {
                number += 1;
                fs::write(directory.join(format!("more-{number}")), "").unwrap();
            }
            fs::write(directory.join(".web"), "7").unwrap();
            fs::rename(directory.join(".web"), directory.join("web")).unwrap();
            of(&mut news, "web").await;
            fs::write(directory.join("web"), "8").unwrap();
            of(&mut news, "web").await;
            fs::remove_file(directory.join("web")).unwrap();
            of(&mut news, "web").await;
            fs::remove_dir_all(dir.path().join("systemd")).unwrap();
            while next(&mut news).await.is_some() {}
        }
        drop(news);
        fs::create_dir_all(&directory).unwrap();
        tokio::time::timeout(Duration::from_secs(10), task).await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_directory_too_many_is_not_listened_to_until_another_one_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let seats = Semaphore::new(1);
        let (sender, mut news) = mpsc::channel(64);
        let place = Place::PidFiles(dir.path().to_owned());
        let first = listen_seated(&seats, dir.path(), &place, &sender);
        let second = async {
            assert_eq!(next(&mut news).await, None, "the first listens");
            assert!(listen_seated(&seats, dir.path(), &place, &sender).await.is_err());
        };
        tokio::select! {
            _ = first => panic!("it has ended"),
            () = second => {}
        }
        assert_eq!(seats.available_permits(), 1);
    }

    #[tokio::test]
    async fn noise_above_the_directory_is_no_news() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("run");
        fs::create_dir(&directory).unwrap();
        let watches = Watches::on(&directory).unwrap();
        fs::write(dir.path().join("noise"), "").unwrap();
        fs::create_dir(dir.path().join("other")).unwrap();
        assert!(matches!(watches.drain(), Heard::Files(names) if names.is_empty()));
        fs::rename(&directory, dir.path().join("gone")).unwrap();
        assert!(matches!(watches.drain(), Heard::Directory));
    }
}
