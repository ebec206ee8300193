//! All Apps -> one look-up: host, then path, then the rest.
//!
//! In: Apps, in any order. Out: the most specific rule, in O(length of the path). Never: a fall-through from a host that is known to a
//! less specific one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::matcher::Rank;
use super::{CompiledApp, PathMatcher, Request, Rule};
use crate::names::{AppName, HostPattern};

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

/// Where a matcher stands: App, rule, matcher.
#[derive(Debug, Clone)]
struct Candidate {
    app: Arc<CompiledApp>,
    rule: usize,
    matcher: usize,
}

/// All matchers of one hostname.
#[derive(Debug, Default)]
struct Host {
    apps: BTreeMap<AppName, Arc<CompiledApp>>,
    root: Node,
    exact: HashMap<Box<str>, Vec<Candidate>>,
    regex: Vec<Candidate>,
    /// Matchers that an older App has as well: (loser, rule, winner).
    conflicts: Vec<(AppName, usize, AppName)>,
}

/// A path element and what is below it.
#[derive(Debug, Default)]
struct Node {
    below: HashMap<Box<str>, Node>,
    here: Vec<Candidate>,
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
        host.find(request).map(|found| Match { app: found.app.clone(), rule: found.rule, matcher: found.matcher }).ok_or(Miss::Rule)
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
        (!self.any.apps.is_empty()).then_some(&self.any)
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

    /// Adds an App, or replaces the one of its name. Costs what the App's own hosts cost.
    pub fn insert(&mut self, app: Arc<CompiledApp>) {
        let name = app.name.clone();
        let hosts = self.hosts_of(&app);
        let before = self.apps.insert(name.clone(), app).map(|old| self.hosts_of(&old)).unwrap_or_default();
        for host in hosts.iter().chain(before.iter().filter(|host| !hosts.contains(host))) {
            self.rebuild(host.as_ref(), &name);
        }
    }

    /// Takes an App away.
    pub fn remove(&mut self, name: &AppName) {
        if let Some(old) = self.apps.remove(name) {
            for host in self.hosts_of(&old) {
                self.rebuild(host.as_ref(), name);
            }
        }
    }

    /// Matchers of this App that an older App has as well: the rule's index and the older App's name.
    #[must_use]
    pub fn conflicts(&self, name: &AppName) -> Vec<(usize, AppName)> {
        let Some(app) = self.apps.get(name) else { return Vec::new() };
        let hosts = self.hosts_of(app);
        let hosts = hosts.iter().filter_map(|host| self.slot(host.as_ref()));
        hosts
            .flat_map(|host| &host.conflicts)
            .filter(|(loser, ..)| loser == name)
            .map(|(_, rule, winner)| (*rule, winner.clone()))
            .collect()
    }

    /// The Apps that lose a match to this one: before a change of it and after, these are the others whose conflicts change.
    #[must_use]
    pub fn losers(&self, name: &AppName) -> BTreeSet<AppName> {
        let Some(app) = self.apps.get(name) else { return BTreeSet::new() };
        let hosts = self.hosts_of(app);
        let conflicts = hosts.iter().filter_map(|host| self.slot(host.as_ref())).flat_map(|host| &host.conflicts);
        conflicts.filter(|(.., winner)| winner == name).map(|(loser, ..)| loser.clone()).collect()
    }

    /// What the App's hostnames and the table's have in common, each once.
    fn hosts_of(&self, app: &CompiledApp) -> Vec<Option<HostPattern>> {
        match &self.own {
            own if app.hostnames.is_empty() => vec![own.clone()],
            None => app.hostnames.iter().cloned().map(Some).collect(),
            Some(own) => {
                let common: BTreeSet<_> = app.hostnames.iter().filter_map(|host| own.intersection(host)).collect();
                common.into_iter().cloned().map(Some).collect()
            }
        }
    }

    fn slot(&self, host: Option<&HostPattern>) -> Option<&Host> {
        match host {
            None => Some(&self.any),
            Some(HostPattern::Exact(name)) => self.exact.get(name).map(|host| &**host),
            Some(HostPattern::Wildcard(suffix)) => self.wildcard.get(suffix).map(|host| &**host),
        }
    }

    /// Builds one host again, with or without the App that changed.
    fn rebuild(&mut self, host: Option<&HostPattern>, changed: &AppName) {
        let mut apps = self.slot(host).map(|host| host.apps.clone()).unwrap_or_default();
        apps.remove(changed);
        if let Some(app) = self.apps.get(changed)
            && self.hosts_of(app).iter().any(|own| own.as_ref() == host)
        {
            apps.insert(changed.clone(), app.clone());
        }
        let empty = apps.is_empty();
        let built = Arc::new(Host::build(apps));
        let map = match host {
            None => {
                self.any = built;
                return;
            }
            Some(HostPattern::Exact(name)) => (&mut self.exact, name),
            Some(HostPattern::Wildcard(suffix)) => (&mut self.wildcard, suffix),
        };
        if empty {
            map.0.remove(map.1)
        } else {
            map.0.insert(map.1.clone(), built)
        };
    }
}

impl Host {
    fn build(apps: BTreeMap<AppName, Arc<CompiledApp>>) -> Self {
        let mut ranked: Vec<(Rank, Candidate)> = apps.values().flat_map(candidates).collect();
        ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut host = Self { apps, ..Self::default() };
        let mut seen: HashMap<String, AppName> = HashMap::new();
        for (_, candidate) in ranked {
            let matcher = &candidate.app.rules[candidate.rule].matches[candidate.matcher];
            let winner = seen.entry(identity(matcher)).or_insert_with(|| candidate.app.name.clone());
            if *winner != candidate.app.name {
                host.conflicts.push((candidate.app.name.clone(), candidate.rule, winner.clone()));
                continue;
            }
            match &matcher.path {
                PathMatcher::Exact(path) => host.exact.entry(path.clone()).or_default().push(candidate),
                PathMatcher::Regex(_) => host.regex.push(candidate),
                PathMatcher::Prefix(prefix) => {
                    let elements = prefix.split('/').skip(1);
                    let node = elements.fold(&mut host.root, |node, element| node.below.entry(element.into()).or_default());
                    node.here.push(candidate);
                }
            }
        }
        host
    }

    /// Exact path; longest prefix; expressions. Inside each, candidates stand in the order of their rank.
    fn find(&self, request: &Request<'_>) -> Option<&Candidate> {
        let accepts = |candidate: &&Candidate| candidate.matcher().accepts_beyond_path(request);
        let exact = self.exact.get(request.path).and_then(|here| here.iter().find(accepts));
        exact.or_else(|| self.root.find(request.path.get(1..).unwrap_or(""), &accepts)).or_else(|| {
            self.regex.iter().find(|candidate| {
                matches!(&candidate.matcher().path, PathMatcher::Regex(regex) if regex.is_match(request.path)) && accepts(candidate)
            })
        })
    }
}

impl Node {
    /// The deepest candidate on the way along `rest`. Its depth is bounded by the longest prefix of the host.
    fn find<'a>(&'a self, rest: &str, accepts: &impl Fn(&&'a Candidate) -> bool) -> Option<&'a Candidate> {
        let (element, after) = rest.split_once('/').map_or((rest, None), |(element, after)| (element, Some(after)));
        let below = self.below.get(element).and_then(|node| match after {
            Some(after) => node.find(after, accepts),
            None => node.here.iter().find(accepts),
        });
        below.or_else(|| self.here.iter().find(accepts))
    }
}

impl Candidate {
    fn matcher(&self) -> &super::Matcher {
        &self.app.rules[self.rule].matches[self.matcher]
    }
}

fn candidates(app: &Arc<CompiledApp>) -> impl Iterator<Item = (Rank, Candidate)> {
    app.rules.iter().enumerate().flat_map(move |(rule, compiled)| {
        compiled.matches.iter().enumerate().map(move |(index, matcher)| {
            let rank = (std::cmp::Reverse(matcher.specificity()), app.first_seen, app.name.clone(), rule, index);
            (rank, Candidate { app: app.clone(), rule, matcher: index })
        })
    })
}

/// Two matchers with the same identity match the same requests.
fn identity(matcher: &super::Matcher) -> String {
    let path = match &matcher.path {
        PathMatcher::Exact(path) => format!("={path}"),
        PathMatcher::Prefix(prefix) => format!("^{prefix}"),
        PathMatcher::Regex(regex) => format!("~{regex}"),
    };
    let mut headers: Vec<_> = matcher.headers.iter().map(|header| format!("{header:?}")).collect();
    let mut query: Vec<_> = matcher.query.iter().map(|param| format!("{param:?}")).collect();
    headers.sort_unstable();
    query.sort_unstable();
    format!("{path} {:?} {headers:?} {query:?}", matcher.method)
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
