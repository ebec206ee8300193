//! All listeners -> the table that answers a request: by the socket that it came in on, then by hostname.
//!
//! In: listeners as Gateways give them, Apps as they are compiled. Out: the rule. Never: a fall-through from a listener to a less specific
//! one (Gateway API, "Listener isolation").

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use imbl::ordmap::DiffItem;

use super::{CompiledApp, Match, Miss, Request, Table};
use crate::names::{AppName, HostPattern, SectionName};

/// Every listener with its routes. Clones share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Listeners {
    by_socket: BTreeMap<SocketAddr, Vec<Listener>>,
    apps: imbl::OrdMap<AppName, Arc<CompiledApp>>,
}

/// Where requests come in, and for which hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Front {
    /// The Gateway that says so, and the listener's name in it; none: the command line's `--listen`.
    pub name: Option<(AppName, SectionName)>,
    /// The address that is bound.
    pub socket: SocketAddr,
    /// Hosts that it is for; none: any.
    pub hostname: Option<HostPattern>,
}

/// A Gateway, or some of its listeners, as an App names them (`parentRefs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// The Gateway.
    pub gateway: AppName,
    /// One listener of it; none: all.
    pub section: Option<SectionName>,
    /// Listeners on this port only.
    pub port: Option<u16>,
}

#[derive(Debug, Clone)]
struct Listener {
    front: Front,
    table: Table,
}

impl Listeners {
    /// The rule for a request that came in on this socket.
    ///
    /// # Errors
    /// [`Miss`] if there is none.
    pub fn find(&self, socket: SocketAddr, request: &Request<'_>) -> Result<Match, Miss> {
        let listeners = self.by_socket.get(&socket).ok_or(Miss::Listener)?;
        let fitting = listeners.iter().filter_map(|listener| Some((listener.front.fit(request.host)?, listener)));
        let (_, listener) = fitting.max_by_key(|(fit, _)| *fit).ok_or(Miss::Listener)?;
        listener.table.find(request)
    }

    /// Changes the listeners to these. One that stays as it is costs nothing.
    pub fn set(&mut self, fronts: impl IntoIterator<Item = Front>) {
        let mut before: Vec<_> = std::mem::take(&mut self.by_socket).into_values().flatten().collect();
        for front in fronts {
            let known = before.iter().position(|listener| listener.front == front);
            let listener = known.map_or_else(|| Listener::new(front, self.apps.values()), |at| before.swap_remove(at));
            self.by_socket.entry(listener.front.socket).or_default().push(listener);
        }
    }

    /// The listeners.
    pub fn fronts(&self) -> impl Iterator<Item = &Front> {
        self.all().map(|listener| &listener.front)
    }

    /// Adds an App to the listeners that lead to it, in the place of the one of its name.
    pub fn insert(&mut self, app: &Arc<CompiledApp>) {
        self.apps.insert(app.name.clone(), app.clone());
        for listener in self.by_socket.values_mut().flatten() {
            if listener.front.leads_to(&app.parents, &app.hostnames) {
                listener.table.insert(app.clone());
            } else {
                listener.table.remove(&app.name);
            }
        }
    }

    /// Takes an App away.
    pub fn remove(&mut self, name: &AppName) {
        self.apps.remove(name);
        self.by_socket.values_mut().flatten().for_each(|listener| listener.table.remove(name));
    }

    /// The App of this name.
    #[must_use]
    pub fn app(&self, name: &str) -> Option<&Arc<CompiledApp>> {
        self.apps.get(name)
    }

    /// Every App that is served, attached or not.
    pub fn apps(&self) -> impl Iterator<Item = &Arc<CompiledApp>> {
        self.apps.values()
    }

    /// The Apps that are others than in `before`, by name, in the time that their number takes; `None`: it is gone.
    pub fn changes<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a AppName, Option<&'a Arc<CompiledApp>>)> {
        before.apps.diff(&self.apps).map(|change| match change {
            DiffItem::Add(name, app) | DiffItem::Update { new: (name, app), .. } => (name, Some(app)),
            DiffItem::Remove(name, _) => (name, None),
        })
    }

    /// The listeners that lead to an App.
    pub fn leading_to<'a>(&'a self, name: &'a AppName) -> impl Iterator<Item = &'a Front> {
        self.all().filter(|listener| listener.table.app(name.as_str()).is_some()).map(|listener| &listener.front)
    }

    /// How many Apps a listener leads to.
    #[must_use]
    pub fn attached(&self, front: &Front) -> usize {
        self.all().find(|listener| listener.front == *front).map_or(0, |listener| listener.table.len())
    }

    /// Matchers of this App that an older App has as well, on a listener that leads to both: the rule's index and the older App's name.
    #[must_use]
    pub fn conflicts(&self, name: &AppName) -> Vec<(usize, AppName)> {
        let mut conflicts: Vec<_> = self.all().flat_map(|listener| listener.table.conflicts(name)).collect();
        conflicts.sort_unstable();
        conflicts.dedup();
        conflicts
    }

    /// The Apps that lose a match to this one on some listener: before a change of it and after, these are the others whose conflicts change.
    #[must_use]
    pub fn losers(&self, name: &AppName) -> BTreeSet<AppName> {
        self.all().flat_map(|listener| listener.table.losers(name)).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Listener> {
        self.by_socket.values().flatten()
    }
}

impl Listener {
    fn new<'a>(front: Front, apps: impl Iterator<Item = &'a Arc<CompiledApp>>) -> Self {
        let mut table = Table::of(front.hostname.clone());
        for app in apps.filter(|app| front.leads_to(&app.parents, &app.hostnames)) {
            table.insert(app.clone());
        }
        Self { front, table }
    }
}

impl Front {
    /// Whether an App with these parents and hostnames attaches to it. Without parents: to every listener. One host in common is enough.
    #[must_use]
    pub fn leads_to(&self, parents: &[Parent], hostnames: &[HostPattern]) -> bool {
        let named = parents.is_empty() || parents.iter().any(|parent| self.is(parent));
        let Some(own) = &self.hostname else { return named };
        named && (hostnames.is_empty() || hostnames.iter().any(|host| own.overlaps(host)))
    }

    fn is(&self, parent: &Parent) -> bool {
        let Some((gateway, section)) = &self.name else { return false };
        *gateway == parent.gateway
            && parent.section.as_ref().is_none_or(|wanted| wanted == section)
            && parent.port.is_none_or(|port| port == self.socket.port())
    }

    /// How well it fits a host: exact before the longest wildcard before any; none: not at all.
    fn fit(&self, host: &str) -> Option<(bool, usize)> {
        match &self.hostname {
            None => Some((false, 0)),
            Some(pattern) if pattern.matches(host) => Some(pattern.specificity()),
            Some(_) => None,
        }
    }
}

/// `GATEWAY/LISTENER`, or `--listen`.
impl std::fmt::Display for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some((gateway, listener)) => write!(f, "{gateway}/{listener}"),
            None => f.write_str("--listen"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::super::fixture::app;
    use super::*;

    fn front(gateway: &str, listener: &str, port: u16, hostname: Option<&str>) -> Front {
        Front {
            name: Some((gateway.parse().unwrap(), listener.parse().unwrap())),
            socket: ([127, 0, 0, 1], port).into(),
            hostname: hostname.map(|host| host.parse().unwrap()),
        }
    }

    fn parent(gateway: &str, section: Option<&str>, port: Option<u16>) -> Parent {
        Parent { gateway: gateway.parse().unwrap(), section: section.map(|section| section.parse().unwrap()), port }
    }

    fn find(listeners: &Listeners, port: u16, host: &str) -> Result<String, Miss> {
        let request = Request { host, path: "/", query: None, method: &Method::GET, headers: &HeaderMap::new() };
        listeners.find(([127, 0, 0, 1], port).into(), &request).map(|found| found.app.name.to_string())
    }

    #[test]
    fn an_app_attaches_to_the_listeners_that_it_names() {
        let fronts = [front("web", "http", 80, None), front("web", "admin", 81, None), front("inner", "http", 82, None)];
        let attached =
            |parents: &[Parent]| fronts.iter().filter(|front| front.leads_to(parents, &[])).map(Front::to_string).collect::<Vec<_>>();
        assert_eq!(attached(&[]).len(), 3);
        assert_eq!(attached(&[parent("web", None, None)]), ["web/http", "web/admin"]);
        assert_eq!(attached(&[parent("web", Some("admin"), None)]), ["web/admin"]);
        assert_eq!(attached(&[parent("web", None, Some(80)), parent("inner", None, None)]), ["web/http", "inner/http"]);
        assert_eq!(attached(&[parent("web", Some("admin"), Some(80))]), [""; 0]);
        let command_line = Front { name: None, ..fronts[0].clone() };
        assert!(command_line.leads_to(&[], &[]) && !command_line.leads_to(&[parent("web", None, None)], &[]));
    }

    #[test]
    fn a_listener_with_a_hostname_takes_the_apps_that_share_a_host_with_it() {
        let front = front("web", "http", 80, Some("*.example.org"));
        let hosts = |hosts: &[&str]| hosts.iter().map(|host| host.parse().unwrap()).collect::<Vec<_>>();
        assert!(front.leads_to(&[], &[]));
        assert!(front.leads_to(&[], &hosts(&["a.test", "a.example.org"])));
        assert!(!front.leads_to(&[], &hosts(&["a.test", "example.org"])));
    }

    #[test]
    fn the_most_specific_listener_answers_and_nothing_falls_through_it() {
        let mut listeners = Listeners::default();
        listeners.set([
            front("web", "any", 80, None),
            front("web", "wild", 80, Some("*.example.org")),
            front("web", "own", 80, Some("a.example.org")),
        ]);
        let named = |name: &str, section: &str| {
            let mut app = app(name, 1, &[], &["/"]);
            Arc::get_mut(&mut app).unwrap().parents = [parent("web", Some(section), None)].into();
            app
        };
        for section in ["any", "wild"] {
            listeners.insert(&named(section, section));
        }
        assert_eq!(find(&listeners, 80, "test").unwrap(), "any");
        assert_eq!(find(&listeners, 80, "b.example.org").unwrap(), "wild");
        assert_eq!(find(&listeners, 80, "a.example.org"), Err(Miss::Host), "its listener leads nowhere");
        assert_eq!(find(&listeners, 81, "test"), Err(Miss::Listener));
    }

    #[test]
    fn of_an_apps_hostnames_a_listener_has_those_that_are_its_own() {
        let mut listeners = Listeners::default();
        listeners.set([front("web", "own", 80, Some("very.specific.org"))]);
        listeners.insert(&app("exact", 1, &["very.specific.org", "other.test"], &["/one"]));
        listeners.insert(&app("wild", 2, &["*.specific.org", "very.specific.org"], &["/two"]));
        listeners.insert(&app("any", 3, &[], &["/three", "/one"]));
        let ask = |listeners: &Listeners, path: &str| {
            let request = Request { host: "very.specific.org", path, query: None, method: &Method::GET, headers: &HeaderMap::new() };
            listeners.find(([127, 0, 0, 1], 80).into(), &request).map(|found| found.app.name.to_string())
        };
        assert_eq!(["/one", "/two", "/three"].map(|path| ask(&listeners, path).unwrap()), ["exact", "wild", "any"]);
        assert_eq!(ask(&listeners, "/four"), Err(Miss::Rule));
        assert_eq!(listeners.conflicts(&"any".parse().unwrap()), [(1, "exact".parse().unwrap())]);
        listeners.remove(&"wild".parse().unwrap());
        assert_eq!(ask(&listeners, "/two"), Err(Miss::Rule));
    }

    #[test]
    fn a_listener_that_comes_later_leads_to_the_apps_that_are_there() {
        let mut listeners = Listeners::default();
        listeners.set([front("web", "http", 80, None)]);
        listeners.insert(&app("one", 1, &[], &["/"]));
        listeners.set([front("web", "http", 80, None), front("web", "more", 81, None)]);
        assert_eq!((find(&listeners, 80, "x").unwrap(), find(&listeners, 81, "x").unwrap()), ("one".to_owned(), "one".to_owned()));
        listeners.set([front("web", "more", 81, None)]);
        assert_eq!(find(&listeners, 80, "x"), Err(Miss::Listener));
        listeners.remove(&"one".parse().unwrap());
        assert_eq!(find(&listeners, 81, "x"), Err(Miss::Host));
    }

    #[test]
    fn apps_on_different_listeners_do_not_conflict() {
        let mut listeners = Listeners::default();
        let fronts = [front("web", "a", 80, None), front("web", "b", 81, None)];
        listeners.set(fronts.clone());
        for (name, seen, section) in [("old", 1, "a"), ("young", 2, "b")] {
            let mut app = app(name, seen, &[], &["/"]);
            Arc::get_mut(&mut app).unwrap().parents = [parent("web", Some(section), None)].into();
            listeners.insert(&app);
        }
        let young = "young".parse().unwrap();
        assert!(listeners.conflicts(&young).is_empty());
        assert_eq!(listeners.leading_to(&young).map(Front::to_string).collect::<Vec<_>>(), ["web/b"]);
        assert_eq!(fronts.each_ref().map(|front| listeners.attached(front)), [1, 1]);
        listeners.insert(&app("young", 2, &[], &["/"]));
        assert_eq!(listeners.conflicts(&young), [(0, "old".parse().unwrap())]);
        assert_eq!(listeners.losers(&"old".parse().unwrap()), BTreeSet::from([young]));
    }
}
