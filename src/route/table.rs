//! All Apps -> one look-up: host, then path, then the rest.
//!
//! In: Apps, in any order. Out: the most specific rule, in O(length of the path). Never: a fall-through from a host that is known to a
//! less specific one.

mod candidate;
mod host;
mod paths;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{CompiledApp, PathMatcher, Request, Rule};
use crate::names::{AppName, HostPattern};
use host::Host;

/// Every route of every App. Clones share what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Hosts that it is for; none: any.
    own: Option<HostPattern>,
    exact: imbl::HashMap<Arc<str>, Arc<Host>>,
    wildcard: imbl::HashMap<Arc<str>, Arc<Host>>,
    any: Arc<Host>,
    apps: imbl::OrdMap<AppName, Arc<CompiledApp>>,
}

/// The rule that answers.
#[derive(Debug, Clone)]
pub struct Match {
    /// The App; a request holds it for as long as it lasts.
    pub app: Arc<CompiledApp>,
    /// Index in [`CompiledApp::rules`].
    pub rule: usize,
    /// Index in [`Rule::matches`].
    pub matcher: usize,
}

/// Nothing answers: 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// No listener is for the socket and host.
    Listener,
    /// No App claims the host.
    Host,
    /// The host is claimed, the path is not.
    Rule,
}

impl Match {
    /// The rule itself.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.app.rules[self.rule]
    }

    /// Length of the prefix that matched, in bytes of the path; `None` if it was no prefix.
    #[must_use]
    pub fn prefix_len(&self) -> Option<usize> {
        match &self.rule().matches[self.matcher].path {
            PathMatcher::Prefix(prefix) => Some(prefix.len()),
            PathMatcher::Exact(_) | PathMatcher::Regex(_) => None,
        }
    }
}

impl Table {
    /// A table for some hosts (`None`: any): of an App's hostnames it has those that are among them (Gateway API `HTTPRoute.hostnames`).
    #[must_use]
    pub fn of(own: Option<HostPattern>) -> Self {
        Self { own, ..Self::default() }
    }

    /// The rule for a request.
    ///
    /// # Errors
    /// [`Miss`] if there is none.
    pub fn find(&self, request: &Request<'_>) -> Result<Match, Miss> {
        let host = self.host(request.host).ok_or(Miss::Host)?;
        host.find(request).map(|found| Match { app: found.app.clone(), rule: found.rule(), matcher: found.index() }).ok_or(Miss::Rule)
    }

    /// Exact, then the longest wildcard, then the Apps without hostnames.
    fn host(&self, name: &str) -> Option<&Host> {
        if let Some(host) = self.exact.get(name) {
            return Some(host);
        }
        let mut rest = name;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(host) = self.wildcard.get(suffix) {
                return Some(host);
            }
            rest = suffix;
        }
        (!self.any.is_empty()).then_some(&self.any)
    }

    /// The App of this name.
    #[must_use]
    pub fn app(&self, name: &str) -> Option<&Arc<CompiledApp>> {
        self.apps.get(name)
    }

    /// Number of Apps.
    #[must_use]
    pub fn len(&self) -> usize {
        self.apps.len()
    }

    /// Whether there is no App.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty()
    }

    /// Adds an App, or replaces the one of its name. Costs what its own matchers cost, and the logarithm of what else there is.
    pub fn insert(&mut self, app: Arc<CompiledApp>) {
        self.remove(&app.name);
        for host in self.hosts_of(&app) {
            let host = match &host {
                None => &mut self.any,
                Some(HostPattern::Exact(name)) => self.exact.entry(name.clone()).or_default(),
                Some(HostPattern::Wildcard(suffix)) => self.wildcard.entry(suffix.clone()).or_default(),
            };
            Arc::make_mut(host).insert(&app);
        }
        self.apps.insert(app.name.clone(), app);
    }

    /// Takes an App away.
    pub fn remove(&mut self, name: &AppName) {
        let Some(app) = self.apps.remove(name) else { return };
        for host in self.hosts_of(&app) {
            match &host {
                None => Arc::make_mut(&mut self.any).remove(&app),
                Some(HostPattern::Exact(name)) => remove(&mut self.exact, name, &app),
                Some(HostPattern::Wildcard(suffix)) => remove(&mut self.wildcard, suffix, &app),
            }
        }
    }

    /// Matchers of this App that an older App has as well: the rule's index and the older App's name.
    #[must_use]
    pub fn conflicts(&self, name: &AppName) -> Vec<(usize, AppName)> {
        self.of_hosts(name, |host, app| host.conflicts(app).collect())
    }

    /// The Apps that lose a match to this one: before a change of it and after, these are the others whose conflicts change.
    #[must_use]
    pub fn losers(&self, name: &AppName) -> BTreeSet<AppName> {
        self.of_hosts(name, |host, app| host.losers(app).collect())
    }

    /// What there is to say of an App on all its hosts.
    fn of_hosts<T, All: Default + IntoIterator<Item = T> + Extend<T>>(
        &self,
        name: &AppName,
        of: impl Fn(&Host, &Arc<CompiledApp>) -> All,
    ) -> All {
        let mut all = All::default();
        if let Some(app) = self.apps.get(name) {
            let hosts = self.hosts_of(app);
            all.extend(hosts.iter().filter_map(|host| self.slot(host.as_ref())).flat_map(|host| of(host, app)));
        }
        all
    }

    /// What the App's hostnames and the table's have in common, each once.
    fn hosts_of(&self, app: &CompiledApp) -> Vec<Option<HostPattern>> {
        let common: BTreeSet<_> = match &self.own {
            own if app.hostnames.is_empty() => return vec![own.clone()],
            None => app.hostnames.iter().collect(),
            Some(own) => app.hostnames.iter().filter_map(|host| own.intersection(host)).collect(),
        };
        common.into_iter().cloned().map(Some).collect()
    }

    fn slot(&self, host: Option<&HostPattern>) -> Option<&Host> {
        match host {
            None => Some(&self.any),
            Some(HostPattern::Exact(name)) => self.exact.get(name).map(|host| &**host),
            Some(HostPattern::Wildcard(suffix)) => self.wildcard.get(suffix).map(|host| &**host),
        }
    }
}

/// Takes an App from a host, and the host away if it was the last one.
fn remove(hosts: &mut imbl::HashMap<Arc<str>, Arc<Host>>, name: &Arc<str>, app: &Arc<CompiledApp>) {
    let Some(host) = hosts.get_mut(name).map(Arc::make_mut) else { return };
    host.remove(app);
    if host.is_empty() {
        hosts.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::super::fixture::app;
    use super::*;

    fn find(table: &Table, host: &str, path: &str) -> Result<String, Miss> {
        let request = Request { host, path, query: None, method: &Method::GET, headers: &HeaderMap::new() };
        table.find(&request).map(|found| format!("{} {}", found.app.name, found.rule().name))
    }

    #[test]
    fn the_most_specific_host_decides_and_nothing_falls_through_it() {
        let mut table = Table::default();
        table.insert(app("exact", 3, &["a.example.org"], &["/x"]));
        table.insert(app("wild", 2, &["*.example.org"], &["/"]));
        table.insert(app("any", 1, &[], &["/"]));
        assert_eq!(find(&table, "a.example.org", "/x/y").unwrap(), "exact /x");
        assert_eq!(find(&table, "a.example.org", "/other"), Err(Miss::Rule));
        assert_eq!(find(&table, "b.c.example.org", "/x").unwrap(), "wild /");
        assert_eq!(find(&table, "example.org", "/x").unwrap(), "any /");
        table.remove(&"any".parse().unwrap());
        assert_eq!(find(&table, "example.org", "/x"), Err(Miss::Host));
    }

    #[test]
    fn the_longest_prefix_of_whole_elements_wins_and_an_exact_path_beats_it() {
        let mut table = Table::default();
        table.insert(app("a", 1, &[], &["/", "/a", "/a/b/", "=/a/b"]));
        for (path, rule) in [
            ("/", "/"),
            ("/ab", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/bc", "/a"),
            ("/a/b", "=/a/b"),
            ("/a/b/", "/a/b/"),
            ("/a/b/c", "/a/b/"),
            ("//a", "/"),
            ("/a//b", "/a"),
        ] {
            assert_eq!(find(&table, "h", path).unwrap(), format!("a {rule}"), "{path}");
        }
    }

    #[test]
    fn the_older_app_keeps_a_match_that_two_have() {
        let mut table = Table::default();
        table.insert(app("young", 2, &["h"], &["/same", "/own"]));
        table.insert(app("old", 1, &["h"], &["/same"]));
        table.insert(app("beside", 3, &["h"], &["/beside"]));
        assert_eq!(find(&table, "h", "/same").unwrap(), "old /same");
        assert_eq!(find(&table, "h", "/own").unwrap(), "young /own");
        assert_eq!(table.conflicts(&"young".parse().unwrap()), vec![(0, "old".parse().unwrap())]);
        assert!(table.conflicts(&"old".parse().unwrap()).is_empty());
        let losers = |name: &str| table.losers(&name.parse().unwrap());
        assert_eq!(losers("old"), BTreeSet::from(["young".parse().unwrap()]), "not who only shares the host");
        assert!(losers("young").is_empty() && losers("beside").is_empty());
        table.remove(&"old".parse().unwrap());
        assert_eq!(find(&table, "h", "/same").unwrap(), "young /same");
    }

    #[test]
    fn a_change_of_hostnames_leaves_nothing_behind() {
        let mut table = Table::default();
        table.insert(app("a", 1, &["one", "both"], &["/"]));
        table.insert(app("a", 1, &["two", "both"], &["/"]));
        assert_eq!(find(&table, "one", "/"), Err(Miss::Host));
        assert!(find(&table, "two", "/").is_ok() && find(&table, "both", "/").is_ok());
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_change_leaves_other_hosts_as_they_are() {
        let mut table = Table::default();
        table.insert(app("a", 1, &["a"], &["/"]));
        let before = Arc::as_ptr(&table.exact["a"]);
        table.insert(app("b", 2, &["b"], &["/"]));
        assert_eq!(before, Arc::as_ptr(&table.exact["a"]));
    }
}
