//! Apps to be served, made of manifests.

use std::net::SocketAddr;
use std::sync::Arc;

use lxcproxy::api::v1::App;
use lxcproxy::compile::{Identity, compile};
use lxcproxy::manifest::{self, Object};
use lxcproxy::resolve::ResolvedApp;
use lxcproxy::route::{CompiledApp, Front, Listeners};

/// One App with one rule, as it is written.
pub(crate) fn app(matches: &str) -> Arc<App> {
    app_with([matches.to_owned()])
}

/// The same with a rule for each of these.
pub(crate) fn app_with(rules: impl IntoIterator<Item = String>) -> Arc<App> {
    let rules = rules.into_iter().map(|matches| format!("  - {{matches: [{matches}], backendRefs: [{{name: web}}]}}\n"));
    let rules = rules.collect::<Vec<_>>().concat();
    let text = format!(
        "apiVersion: lxcproxy.dev/v1
kind: App
metadata: {{name: app}}
spec:
  container: {{name: blog}}
  backends: [{{name: web, http: {{unix: /run/app.sock}}}}]
  rules:
{rules}"
    );
    let document = manifest::parse("a.yaml", text.as_bytes()).documents.into_iter().next().unwrap();
    let Ok(Object::App(app)) = document.result else { panic!("no App: {text}") };
    app
}

/// The same for a host of its own.
pub(crate) fn on(app: &App, host: &str, number: usize) -> Arc<CompiledApp> {
    let mut app = app.clone();
    app.metadata.name = format!("app-{number}").parse().unwrap();
    Arc::make_mut(&mut app.spec).hostnames = vec![host.parse().unwrap()];
    compiled(app)
}

/// What requests meet of it.
pub(crate) fn compiled(app: App) -> Arc<CompiledApp> {
    let resolved = ResolvedApp::unseen(Arc::new(app), "/".into());
    let identity = Identity { name: &resolved.app.metadata.name, uid: "uid", generation: 1, first_seen: 1 };
    Arc::new(compile(&resolved, identity, &Arc::default(), None).unwrap())
}

/// The one socket.
pub(crate) fn socket() -> SocketAddr {
    ([127, 0, 0, 1], 80).into()
}

/// One listener that leads to these.
pub(crate) fn listeners(apps: impl IntoIterator<Item = Arc<CompiledApp>>) -> Listeners {
    let mut listeners = Listeners::default();
    listeners.set([Front { name: None, socket: socket(), hostname: None }]);
    apps.into_iter().for_each(|app| listeners.insert(&app));
    listeners
}
