//! References, found or refused.

use super::*;
use crate::names::ContainerName;

fn reference(runtime: Kind, rootfs: Option<&str>) -> ContainerRef {
    ContainerRef { name: "web".parse().ok(), runtime, path: None, rootfs: rootfs.map(str::to_owned), pid_file: None }
}

fn root(container: &Container) -> &Arc<Rootfs> {
    container.root.as_ref().unwrap()
}

#[tokio::test]
async fn an_unchanged_directory_keeps_its_root_and_a_replaced_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("root")).unwrap();
    let runtimes = Runtimes::new(None);
    let reference = reference(Kind::Directory, Some("root"));
    let first = runtimes.enter(Some(&reference), dir.path(), None).await.unwrap();
    assert!(first.alive && matches!(first.network, Some(Network::Host)));
    let second = runtimes.enter(Some(&reference), dir.path(), Some(&first)).await.unwrap();
    assert!(Arc::ptr_eq(root(&first), root(&second)));
    std::fs::rename(dir.path().join("root"), dir.path().join("old")).unwrap();
    let gone = runtimes.enter(Some(&reference), dir.path(), Some(&second)).await.unwrap_err();
    assert!(matches!(gone, Error::NotFound(_)), "{gone}");
    std::fs::create_dir(dir.path().join("root")).unwrap();
    let third = runtimes.enter(Some(&reference), dir.path(), Some(&second)).await.unwrap();
    assert!(!Arc::ptr_eq(root(&second), root(&third)));
}

#[tokio::test]
async fn a_thousand_who_name_one_directory_hold_one_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let runtimes = Runtimes::new(None);
    let reference = reference(Kind::Directory, dir.path().to_str());
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.push(runtimes.enter(Some(&reference), Path::new("/"), None).await.unwrap());
    }
    assert!(held.iter().all(|one| one.is_same(&held[0])));
    let links = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    assert_eq!(links.filter(|link| link == dir.path()).count(), 1);
}

#[tokio::test]
async fn who_enters_a_running_container_beside_another_joins_it() {
    let runtimes = Runtimes::new(None);
    let reference = reference(Kind::Lxc, None);
    let first = runtimes.remember(&reference, live(std::process::id()).unwrap());
    let second = runtimes.remember(&reference, live(std::process::id()).unwrap());
    assert!(first.is_same(&second));
    let mut child = std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let third = runtimes.remember(&reference, live(child.id()).unwrap());
    assert!(!first.is_same(&third), "another process is another container");
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[tokio::test]
async fn no_reference_is_the_host() {
    let runtimes = Runtimes::new(None);
    let host = runtimes.enter(None, Path::new("/nowhere"), None).await.unwrap();
    assert!(host.alive && host.init.is_none());
    assert!(is_of_host(root(&host)));
}

/// A runtime that always says the same.
#[derive(Debug)]
struct Says(Result<Instance, Error>);

impl Runtime for Says {
    fn inspect<'a>(&'a self, _: &'a ContainerName, _: Option<&'a str>) -> crate::container::BoxFuture<'a, Result<Instance, Error>> {
        Box::pin(std::future::ready(self.0.clone()))
    }
}

fn says(answers: [Result<Instance, Error>; 3]) -> Runtimes {
    let runtimes = [Kind::Lxc, Kind::Incus, Kind::Lxd].into_iter().zip(answers);
    let runtimes = runtimes.map(|(kind, answer)| (kind, Box::new(Says(answer)) as Box<dyn Runtime>)).collect();
    Runtimes { runtimes, running: Mutex::default(), roots: Roots::default(), lanes: Mutex::default() }
}

async fn found(runtimes: &Runtimes, kind: Kind) -> Result<Instance, Error> {
    runtimes.inspect(&reference(kind, None)).await
}

#[tokio::test]
async fn auto_is_the_first_that_knows_the_name_whatever_the_others_say() {
    let known = |path: &str| Instance { rootfs: Some(path.into()), init_pid: None };
    for silent in [Error::NotFound("no".into()), Error::Failed("hangs".into()), Error::PermissionDenied("not for you".into())] {
        let runtimes = says([Err(silent.clone()), Ok(known("/incus")), Ok(known("/lxd"))]);
        assert_eq!(found(&runtimes, Kind::Auto).await.unwrap(), known("/incus"), "{silent}");
        assert_eq!(found(&runtimes, Kind::Lxd).await.unwrap(), known("/lxd"), "{silent}");
        assert_eq!(found(&runtimes, Kind::Lxc).await.unwrap_err().to_string(), silent.to_string());
    }
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_told_with_all_who_were_asked() {
    let no = |who: &str| Err(Error::NotFound(format!("{who} knows no `web`")));
    let error = found(&says([no("LXC"), no("Incus"), no("LXD")]), Kind::Auto).await.unwrap_err();
    let line = "LXC knows no `web`; Incus knows no `web`; LXD knows no `web`";
    assert!(matches!(&error, Error::NotFound(text) if text == line), "{error}");
    let absent = |who: &str| Err(Error::Absent(format!("{who} does not run (no socket)")));
    let error = found(&says([absent("LXC"), no("Incus"), absent("LXD")]), Kind::Auto).await.unwrap_err();
    let line = "Incus knows no `web`; LXC does not run; LXD does not run";
    assert!(matches!(&error, Error::NotFound(text) if text == line), "{error}");
    let error = found(&says([absent("LXC"), no("Incus"), no("LXD")]), Kind::Lxc).await.unwrap_err();
    assert!(matches!(&error, Error::Absent(text) if text == "LXC does not run (no socket)"), "{error}");
    let error =
        found(&says([no("LXC"), Err(Error::PermissionDenied("Incus is not for you".into())), no("LXD")]), Kind::Auto).await.unwrap_err();
    assert!(matches!(&error, Error::PermissionDenied(text) if text.contains("LXC") && text.contains("LXD")), "{error}");
    let error = found(&says([no("LXC"), no("Incus"), Err(Error::Failed("LXD hangs".into()))]), Kind::Auto).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text.contains("LXC") && text.contains("LXD hangs")), "{error}");
}

#[tokio::test]
async fn a_relative_pid_file_is_another_one_for_each_manifest_and_says_when_its_container_is_stopped() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir(one.path().join("root")).unwrap();
    let reference = ContainerRef { name: None, pid_file: Some("x.pid".into()), ..reference(Kind::Auto, Some("root")) };
    let runtimes = Runtimes::new(None);
    let stopped = runtimes.enter(Some(&reference), one.path(), None).await.unwrap();
    assert!(!stopped.alive && stopped.init.is_none() && stopped.root.is_some() && stopped.network.is_none());
    let rootless = runtimes.enter(Some(&reference), two.path(), None).await.unwrap();
    assert!(!rootless.alive && rootless.root.is_none());
    std::fs::write(two.path().join("x.pid"), format!("{}\n", std::process::id())).unwrap();
    let error = runtimes.enter(Some(&reference), two.path(), Some(&rootless)).await.unwrap_err();
    assert!(matches!(&error, Error::Failed(text) if text.contains("x.pid") && text.contains("the host's own")), "{error}");
    assert!(!runtimes.enter(Some(&reference), one.path(), Some(&stopped)).await.unwrap().alive);
}

#[tokio::test]
async fn entering_can_be_spawned() {
    let runtimes = Arc::new(Runtimes::new(None));
    let task = tokio::spawn(async move { runtimes.enter(None, Path::new("/"), None).await });
    assert!(task.await.unwrap().is_ok());
}

#[test]
fn the_root_of_this_process_is_known_as_the_hosts() {
    let container = live(std::process::id()).unwrap();
    assert!(is_of_host(root(&container)));
}
