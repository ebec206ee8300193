//! What becomes of endpoints, of what is known of them, and of sessions.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::manifest::{self, Object};
use crate::route::{Balance, HashKey, Place};

fn compiled(spec: &str, before: Option<&CompiledApp>) -> CompiledApp {
    let text = format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: blog}}\nspec:\n{spec}");
    let parsed = manifest::parse("a.yaml", text.as_bytes());
    assert_eq!(parsed.errors().map(ToString::to_string).collect::<Vec<_>>(), [""; 0]);
    let Ok(Object::App(app)) = parsed.documents.into_iter().next().unwrap().result else { panic!("no App") };
    let resolved = ResolvedApp::unseen(Arc::clone(&app), "/".into());
    let identity = Identity { name: &app.metadata.name, uid: "uid-1", generation: 1, first_seen: 1 };
    compile(&resolved, identity, &Arc::default(), before).unwrap()
}

#[test]
fn what_is_known_of_an_endpoint_is_handed_on_by_its_name() {
    let before =
        compiled("  backends: [{name: web, http: {endpoints: [{port: 1}, {port: 2}]}}]\n  rules: [{backendRefs: [{name: web}]}]\n", None);
    let after = compiled(
        "  backends: [{name: web, http: {endpoints: [{port: 3}, {port: 2}]}}]\n  rules: [{backendRefs: [{name: web}]}]\n",
        Some(&before),
    );
    let (old, new) = (&before.backends[0].endpoints, &after.backends[0].endpoints);
    assert!(Arc::ptr_eq(&old[1].health, &new[1].health) && old.iter().all(|old| !Arc::ptr_eq(&old.health, &new[0].health)));
}

#[test]
fn what_the_log_has_taken_of_a_backend_is_handed_on_by_its_name() {
    let spec = |port: u16| {
        format!(
            "  backends: [{{name: php, fastcgi: {{port: {port}}}}}, {{name: other, fastcgi: {{port: 1}}}}]\n  rules: [{{backendRefs: [{{name: php}}]}}]\n"
        )
    };
    let before = compiled(&spec(1), None);
    let after = compiled(&spec(2), Some(&before));
    let quota = |app: &CompiledApp, index: usize| match &app.backends[index].protocol {
        Protocol::Fastcgi(settings) => settings.stderr.clone(),
        Protocol::Http(_) => panic!("it speaks FastCGI"),
    };
    assert!(Arc::ptr_eq(&quota(&before, 0), &quota(&after, 0)) && !Arc::ptr_eq(&quota(&after, 0), &quota(&after, 1)));
}

#[test]
fn one_endpoint_is_never_taken_out_and_several_are_unless_it_is_said() {
    let ejections: Vec<_> = compiled(
        "  backends:
  - {name: one, http: {port: 1}, healthCheck: {passive: {consecutiveErrors: 1}}}
  - {name: two, http: {endpoints: [{port: 1}, {port: 2}]}}
  - {name: off, http: {endpoints: [{port: 1}, {port: 2}]}, healthCheck: {passive: {consecutiveErrors: 0}}}
  - {name: own, http: {endpoints: [{port: 1}, {port: 2}]}, healthCheck: {passive: {baseEjectionTime: 1s}}}
  rules: [{backendRefs: [{name: one}]}]\n",
        None,
    )
    .backends
    .iter()
    .map(|backend| backend.ejection.map(|ejection| (ejection.errors, ejection.base.as_secs())))
    .collect();
    assert_eq!(ejections, [None, Some((3, 10)), None, Some((3, 1))]);
}

#[test]
fn balancing_and_checks_are_as_written_with_their_defaults() {
    let app = compiled(
        "  backends:
  - {name: default, http: {port: 1}, healthCheck: {active: {}}}
  - {name: least, fastcgi: {port: 1}, loadBalancer: {type: LeastRequest}}
  - name: hash
    http: {endpoints: [{unix: /a}, {tcp: \"b:1\"}, {port: 2}]}
    loadBalancer: {type: ConsistentHash, consistentHash: {type: Header, name: X-User}}
    healthCheck: {active: {path: /up, hostname: a.org, expectedStatuses: [204], interval: 2s, timeout: 500ms, unhealthyThreshold: 5}}
  - {name: path, http: {port: 1}, healthCheck: {active: {path: /}}}
  rules: [{backendRefs: [{name: default}]}]\n",
        None,
    );
    assert_eq!((&app.backends[0].balance, &app.backends[1].balance), (&Balance::RoundRobin, &Balance::LeastRequest));
    let Balance::ConsistentHash { key, names } = &app.backends[2].balance else { panic!("{:?}", app.backends[2]) };
    assert_eq!((key, names.len()), (&HashKey::Header("x-user".parse().unwrap()), 3));
    let checks: Vec<_> = app.backends.iter().map(|backend| backend.check.as_ref()).collect();
    let plain = checks[0].unwrap();
    assert_eq!((plain.question.is_none(), plain.interval.as_secs(), plain.timeout.as_secs()), (true, 5, 1));
    assert_eq!((plain.healthy, plain.unhealthy, checks[1]), (1, 3, None));
    let asked = checks[2].unwrap();
    let question = asked.question.as_ref().unwrap();
    assert_eq!((question.path.as_str(), question.host.to_str().unwrap()), ("/up", "a.org"));
    assert_eq!((question.is_good(204), question.is_good(200), asked.timeout), (true, false, Duration::from_millis(500)));
    let question = checks[3].unwrap().question.as_ref().unwrap();
    assert_eq!((question.host.to_str().unwrap(), question.is_good(302), question.is_good(404)), ("blog", true, false));
}

#[test]
fn a_session_has_a_name_of_its_own_and_the_path_of_its_rule() {
    let app = compiled(
        "  backends: [{name: web, http: {endpoints: [{port: 1}, {port: 2}]}}, {name: php, fastcgi: {port: 3}}]
  rules:
  - {matches: [{path: {value: /a/}}], backendRefs: [{name: web}], sessionPersistence: {}}
  - {matches: [{path: {value: /b}}, {path: {value: /c}}], backendRefs: [{name: web}], sessionPersistence: {sessionName: mine}}
  - {matches: [{path: {type: Exact, value: /d}}], backendRefs: [{name: web}],
     sessionPersistence: {absoluteTimeout: 1h, cookieConfig: {lifetimeType: Permanent}}}
  - {matches: [{path: {value: \"/e;x\"}}], files: {root: /www, scripts: [{extension: .php, backend: php}]}, sessionPersistence: {}}
  - {backendRefs: [{name: web}]}\n",
        None,
    );
    let sessions: Vec<_> = app.rules.iter().map(|rule| rule.session.as_ref()).collect();
    let paths: Vec<_> = sessions.iter().flatten().map(|session| &*session.path).collect();
    assert_eq!((paths.as_slice(), sessions[4].is_none()), (&["/a", "/", "/", "/"][..], true));
    let names: Vec<_> = sessions.iter().flatten().map(|session| &*session.cookie).collect();
    assert!(names[0].starts_with("lxcproxy-session-") && names[0] != names[2] && names[1] == "mine", "{names:?}");
    let permanent = sessions[2].unwrap();
    assert_eq!((permanent.permanent, permanent.lifetime), (true, Some(Duration::from_secs(3600))));
    let (web, php) = (Place { backend: 0, endpoint: 1 }, Place { backend: 1, endpoint: 0 });
    assert_eq!((sessions[0].unwrap().value(web, 1).is_some(), sessions[0].unwrap().value(php, 1)), (true, None));
    assert!(sessions[3].unwrap().value(php, 1).is_some(), "scripts have sessions, too");
}
