//! The reason of a failure -> what its reader can do about it.
//!
//! In: the object, the condition. Out: a sentence with a command to paste. Never: a command that changes something by itself.

use std::path::{Path, PathBuf};

use super::super::shell::quote;
use crate::api::v1::{AppResource, AppSpec, Backend, Condition, ContainerRef, Diagnostic, ListenerStatus, Reason, Runtime, SourceResource};

/// Where a manifest is, as far as that is known.
pub(super) fn path(file: &str, manifests: Option<&Path>) -> PathBuf {
    manifests.map_or_else(|| PathBuf::from(file), |manifests| manifests.join(file))
}

/// What to do about an App.
pub(super) fn for_app(app: &AppResource, failure: &Condition, manifests: Option<&Path>) -> Option<String> {
    let manifest = path(&app.status.file, manifests);
    let place = Place { spec: app.spec.as_deref(), base: manifest.parent().unwrap_or(Path::new("")) };
    let path = blamed(app, failure).and_then(|backend| unix_path(backend, failure)).or_else(|| root(app, failure).map(str::to_owned));
    let parent = path.as_deref().and_then(|path| Path::new(path).parent());
    let parent = parent.map_or_else(|| "/".to_owned(), |parent| parent.display().to_string());
    match failure.reason {
        Reason::ContainerNotFound => Some(place.find(failure)),
        Reason::ContainerStopped => match place.pid_file() {
            Some(file) => Some(format!("start the container, or correct spec.container.pidFile; what it holds: cat {file}")),
            None => place.start().map(|start| format!("start the container: {start}")),
        },
        Reason::SocketNotFound => Some(format!("start the application, or correct the path; what is there: {}", place.list(&parent))),
        Reason::NotASocket => Some(format!("correct the path; what is there: {}", place.list(&parent))),
        Reason::RootNotFound => Some(format!("correct the path, or make the directory; what is there: {}", place.list(&parent))),
        Reason::FileNotFound => Some("correct the path, or make the file".to_owned()),
        Reason::ConnectionRefused if blamed(app, failure).is_some_and(|backend| is_on_the_network(backend, failure)) => {
            Some("start the application, or correct the address: the host itself connects to it, not the container".to_owned())
        }
        Reason::ConnectionRefused => Some(format!("start the application; who listens: {}", place.run("ss -lntxp"))),
        Reason::PermissionDenied => Some(
            "run lxcproxy as root, with CAP_SYS_PTRACE to enter containers and CAP_DAC_OVERRIDE for their sockets and files; \
             what it has: systemctl show lxcproxy -p CapabilityBoundingSet"
                .to_owned(),
        ),
        _ => for_manifest(&manifest, &app.status.errors, failure),
    }
}

/// What to do about a manifest, or about what is around it.
pub(super) fn for_manifest(path: &Path, errors: &[Diagnostic], failure: &Condition) -> Option<String> {
    let path = || quote(&path.display().to_string());
    match failure.reason {
        Reason::Invalid if errors.iter().any(|error| error.line == 0) => {
            Some(format!("let lxcproxy read it, or take it away; what is there: ls -l {}", path()))
        }
        Reason::Invalid | Reason::UnsupportedValue => Some(format!("correct the manifest, and check it: lxcproxy validate {}", path())),
        Reason::NameConflict => Some("give one of the two manifests another metadata.name".to_owned()),
        Reason::NoMatchingParent => {
            Some("correct spec.parentRefs, or leave it out; `lxcproxy get gateways -o wide` lists what there is".to_owned())
        }
        Reason::CertificateNotFound => Some("put the certificate where the manifest says, or correct the path".to_owned()),
        Reason::Pending => Some("ask again in a moment: it has not been looked at yet".to_owned()),
        Reason::InternalError => Some("report this, with what the log says: journalctl -u lxcproxy".to_owned()),
        _ => None,
    }
}

/// What to do about a listener.
pub(super) fn for_listener(listener: &ListenerStatus, failure: &Condition) -> Option<String> {
    match failure.reason {
        Reason::PortUnavailable => {
            let port = listener.address.rsplit(':').next().unwrap_or_default();
            Some(format!("choose another port, or stop who has this one: ss -lntp 'sport = :{port}'"))
        }
        Reason::ListenerConflict => {
            Some("give the listener another port or hostname; `lxcproxy get gateways -o wide` lists all".to_owned())
        }
        _ => None,
    }
}

/// What to do about a source.
pub(super) fn for_source(source: &SourceResource, failure: &Condition) -> Option<String> {
    let path = source.spec.as_ref().map(|spec| quote(&spec.path.display().to_string())).unwrap_or_default();
    match failure.reason {
        Reason::DirectoryNotFound => Some(format!("what was there is served until it is back; make the directory: mkdir {path}")),
        Reason::DirectoryUnreadable => Some(format!("what was there is served until lxcproxy may read it; what is there: ls -la {path}")),
        Reason::DirectoryEmpty => {
            Some("put the manifests back; if every App is to go, start lxcproxy with --allow-empty; until then they are served".to_owned())
        }
        Reason::Polling => Some("nothing has to be done: changes are found a few seconds later. For events raise fs.inotify.max_user_watches and max_user_instances".to_owned()),
        _ => None,
    }
}

/// The backend that a message is about, by its name.
fn blamed<'a>(app: &'a AppResource, failure: &Condition) -> Option<&'a Backend> {
    let backends = app.spec.as_ref().map(|spec| &spec.backends[..]).unwrap_or_default();
    backends.iter().find(|backend| failure.message.contains(&format!("backend `{}`", backend.name)))
}

/// Its socket; of several the one that the message names, or the first.
fn unix_path(backend: &Backend, failure: &Condition) -> Option<String> {
    let mut paths: Vec<String> = backend.endpoints().into_iter().filter_map(|endpoint| Some(endpoint.unix?.to_string())).collect();
    let named = paths.iter().position(|path| failure.message.contains(path)).unwrap_or(0);
    (named < paths.len()).then(|| paths.swap_remove(named))
}

/// Whether the message is about an address that is reached from the host's network.
fn is_on_the_network(backend: &Backend, failure: &Condition) -> bool {
    backend.endpoints().into_iter().filter_map(|endpoint| endpoint.tcp).any(|tcp| failure.message.contains(&tcp))
}

/// The document root that a message is about.
fn root<'a>(app: &'a AppResource, failure: &Condition) -> Option<&'a str> {
    let rules = app.spec.iter().flat_map(|spec| &spec.rules);
    let mut roots = rules.filter_map(|rule| rule.files.as_ref()).map(|files| files.root.as_str());
    roots.find(|root| failure.message.contains(&format!("root {root}")))
}

/// Where an application lives: a container, a directory, or the host.
struct Place<'a> {
    spec: Option<&'a AppSpec>,
    /// The directory that a relative path in its manifest starts from.
    base: &'a Path,
}

impl Place<'_> {
    fn container(&self) -> Option<&ContainerRef> {
        self.spec.and_then(|spec| spec.container.as_ref())
    }

    /// A command that is run there.
    fn run(&self, command: &str) -> String {
        if let Some(file) = self.pid_file() {
            return format!("nsenter -a -t \"$(cat {file})\" {command}");
        }
        let Some(container) = self.container() else { return command.to_owned() };
        let Some(name) = &container.name else { return command.to_owned() };
        match container.runtime {
            Runtime::Auto | Runtime::Lxc => format!("lxc-attach{} -n {name} -- {command}", self.lxcpath()),
            Runtime::Incus => format!("incus exec {name} -- {command}"),
            Runtime::Lxd => format!("lxc exec {name} -- {command}"),
            Runtime::Nspawn => format!("systemd-run --machine={name} --pipe {command}"),
            Runtime::Directory => command.to_owned(),
        }
    }

    /// A command that lists a directory there.
    fn list(&self, directory: &str) -> String {
        match self.container().filter(|container| container.pid_file.is_none()).and_then(|container| container.rootfs.as_deref()) {
            Some(rootfs) => format!("ls -l {}", quote(&below(&self.base.join(rootfs).display().to_string(), directory))),
            None => self.run(&format!("ls -l {}", quote(directory))),
        }
    }

    /// How it is found.
    fn find(&self, failure: &Condition) -> String {
        let container = self.container();
        if let Some(file) = self.pid_file() {
            return format!("correct spec.container.pidFile, or what writes it; what it holds: cat {file}");
        }
        if let Some(rootfs) = container.and_then(|container| container.rootfs.as_deref()) {
            return format!(
                "correct spec.container.rootfs, or make the directory: mkdir {}",
                quote(&self.base.join(rootfs).display().to_string())
            );
        }
        match container.and_then(|container| container.name.as_ref()) {
            // It is not that LXC has no such container.
            Some(name) if failure.message.contains("lxc-info") => format!("see what LXC says: lxc-info{} -n {name}", self.lxcpath()),
            // The message says what lists the others.
            _ => "correct spec.container, or make the container".to_owned(),
        }
    }

    /// The file with the pid of its init, if that is what it is known by.
    fn pid_file(&self) -> Option<String> {
        let file = self.container()?.pid_file.as_ref()?;
        Some(quote(&self.base.join(file).display().to_string()))
    }

    /// Where LXC has to look, if the manifest says so.
    fn lxcpath(&self) -> String {
        let path = self.container().and_then(|container| container.path.as_ref());
        path.map(|path| format!(" -P {}", quote(path))).unwrap_or_default()
    }

    /// The command that starts it.
    fn start(&self) -> Option<String> {
        let container = self.container()?;
        let name = container.name.as_ref()?;
        match container.runtime {
            // Who has it is not known here.
            Runtime::Auto => Some(format!(
                "lxc-start{} -n {name}; incus start {name}; for LXD lxc start {name}; for systemd-nspawn machinectl start {name}",
                self.lxcpath()
            )),
            Runtime::Lxc => Some(format!("lxc-start{} -n {name}", self.lxcpath())),
            Runtime::Incus => Some(format!("incus start {name}")),
            Runtime::Lxd => Some(format!("lxc start {name}")),
            Runtime::Nspawn => Some(format!("machinectl start {name}")),
            Runtime::Directory => None,
        }
    }
}

fn below(rootfs: &str, path: &str) -> String {
    format!("{}/{}", rootfs.trim_end_matches('/'), path.trim_start_matches('/'))
}
