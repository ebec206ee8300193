//! Lists and single objects: which, in which order, of which revision.

use std::sync::Arc;

use http::Method;
use imbl::OrdMap;
use serde_json::{Value, json};

use super::super::API;
use super::{House, pictures};
use crate::snapshot::Snapshot;

#[tokio::test]
async fn it_is_healthy_at_once_and_ready_with_the_first_snapshot() {
    let mut house = House::open().await;
    assert_eq!(house.ask(Method::GET, "/healthz").await.body(), "ok\n");
    assert_eq!(house.ask(Method::GET, "/readyz").await.status(), 503);
    house.publish(&[]);
    assert_eq!(house.ask(Method::GET, "/readyz").await.status(), 200);
}

#[tokio::test]
async fn apps_are_listed_with_the_revision_and_found_by_name() {
    let mut house = House::open().await;
    house.publish(&["gitlab", "sub/broken one,2=3.yaml", "ttrss"]);
    let (status, list) = house.get(&format!("{API}/apps")).await;
    assert_eq!((status, &list["kind"], &list["metadata"]["resourceVersion"]), (200, &"AppList".into(), &"1".into()));
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert_eq!(house.get(&format!("{API}/apps/ttrss")).await.1["metadata"]["name"], "ttrss");
    let odd = house.get(&format!("{API}/apps/sub%2Fbroken%20one%2C2%3D3.yaml")).await.1;
    assert_eq!(odd["metadata"]["name"], "sub/broken one,2=3.yaml");
    assert_eq!(house.names("apps?fieldSelector=metadata.name%3Dgitlab").await, ["gitlab"]);
    assert_eq!(house.names(r"apps?fieldSelector=metadata.name=sub/broken+one\,2\%3D3.yaml").await, ["sub/broken one,2=3.yaml"]);
}

#[tokio::test]
async fn a_manifest_that_wants_the_name_of_an_app_comes_after_it_and_is_never_taken_for_it() {
    let mut house = House::open().await;
    let mut apps: OrdMap<_, _> = ["blog", "blog-2"].iter().map(|name| ((*name).to_owned(), Arc::new(pictures::app(name)))).collect();
    for (name, file) in [("blog", "second.yaml"), ("broken one.yaml", "broken one.yaml")] {
        let mut stray = pictures::app(name);
        stray.status.file = file.to_owned();
        apps.insert(format!("{name} {file}"), Arc::new(stray));
    }
    house.show(Snapshot { apps, ..Snapshot::default() });
    let files = |list: &Value| list["items"].as_array().unwrap().iter().map(|app| app["status"]["file"].clone()).collect::<Vec<_>>();
    let list = house.get(&format!("{API}/apps")).await.1;
    assert_eq!(files(&list), ["blog.yaml", "second.yaml", "blog-2.yaml", "broken one.yaml"]);
    assert_eq!(house.get(&format!("{API}/apps/blog")).await.1["status"]["file"], "blog.yaml");
    let named = house.get(&format!("{API}/apps?fieldSelector=metadata.name%3Dblog")).await.1;
    assert_eq!(files(&named), ["blog.yaml", "second.yaml"]);
    assert_eq!(house.get(&format!("{API}/apps/broken%20one.yaml")).await.1["metadata"]["name"], "broken one.yaml");
    assert_eq!(house.get(&format!("{API}/apps/broken")).await.0, 404);
}

#[tokio::test]
async fn labels_select_objects_as_in_kubernetes() {
    let mut house = House::open().await;
    let apps = [
        pictures::labelled("blog", &[("tier", "web"), ("env", "live")]),
        pictures::labelled("db", &[("tier", "db"), ("env", "test")]),
        pictures::app("plain"),
    ];
    house.show(pictures::of_apps(apps));
    for (selector, names) in [
        ("tier=web", &["blog"][..]),
        ("tier%3D%3Dweb", &["blog"]),
        ("tier!=web", &["db", "plain"]),
        ("tier+in+(web,db),env%3Dtest", &["db"]),
        ("tier%20notin%20(db)", &["blog", "plain"]),
        ("tier", &["blog", "db"]),
        ("!tier", &["plain"]),
        ("", &["blog", "db", "plain"]),
    ] {
        assert_eq!(house.names(&format!("apps?labelSelector={selector}")).await, names, "{selector}");
    }
    assert_eq!(house.names("apps?labelSelector=tier&fieldSelector=metadata.name!%3Ddb").await, ["blog"]);
    assert_eq!(house.names("apps?fieldSelector=metadata.name%3Ddb&labelSelector=tier=web").await, [""; 0]);
}

#[tokio::test]
async fn every_kind_is_listed_and_found_by_name() {
    let mut house = House::open().await;
    house.show(pictures::of_everything());
    for (plural, kind, name) in
        [("apps", "App", "ttrss"), ("gateways", "Gateway", "web"), ("sources", "Source", "manifests"), ("events", "Event", "ttrss.1")]
    {
        let (_, list) = house.get(&format!("{API}/{plural}")).await;
        assert_eq!(list["kind"], format!("{kind}List"), "{plural}");
        let (status, one) = house.get(&format!("{API}/{plural}/{name}")).await;
        assert_eq!((status, &one["kind"]), (200, &kind.into()), "{plural}");
        assert!(list["items"].as_array().unwrap().contains(&one), "{plural}");
        assert_eq!(house.names(&format!("{plural}?fieldSelector=metadata.name={name}")).await, [name]);
        assert_eq!(house.names(&format!("{plural}?fieldSelector=metadata.name=x{name}")).await, [""; 0]);
    }
}

#[tokio::test]
async fn backends_say_how_each_of_their_endpoints_is() {
    let mut house = House::open().await;
    house.show(pictures::of_everything());
    assert_eq!(house.names("backends").await, ["gitlab.php", "gitlab.web"]);
    assert_eq!(house.names("backends?fieldSelector=metadata.name=gitlab.web").await, ["gitlab.web"]);
    assert_eq!(house.names("backends?fieldSelector=metadata.name=gitlab").await, [""; 0]);
    let web = house.get(&format!("{API}/backends/gitlab.web")).await.1;
    let spec = json!({"app": "gitlab", "backend": "web", "protocol": "HTTP", "loadBalancer": "LeastRequest"});
    assert_eq!((&web["spec"], &web["status"]["readyEndpoints"]), (&spec, &1.into()));
    let endpoints = web["status"]["endpoints"].as_array().unwrap();
    let states: Vec<_> = endpoints.iter().map(|endpoint| endpoint["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["Ready", "Ejected", "Unhealthy", "Unavailable"]);
    assert_eq!((&endpoints[0]["inFlight"], &endpoints[0]["consecutiveErrors"]), (&1.into(), &1.into()));
    assert!(endpoints[1]["ejectedUntil"].is_string() && endpoints[0].get("ejectedUntil").is_none());
    let check = json!({"passed": false, "message": "status 500", "time": "2026-01-01T00:00:00Z"});
    assert_eq!((&endpoints[2]["lastCheck"], endpoints[0].get("lastCheck")), (&check, None));
    let php = house.get(&format!("{API}/backends/gitlab.php")).await.1;
    assert_eq!((&php["spec"]["protocol"], php["status"]["endpoints"][0].get("inFlight")), (&"FastCGI".into(), None));
}

#[tokio::test]
async fn events_are_selected_by_whom_they_happened_to() {
    let mut house = House::open().await;
    let events = [("App", "blog", 1), ("Gateway", "blog", 2), ("App", "wiki", 3)];
    house.show(pictures::of_events(events.map(|(kind, name, number)| pictures::event(kind, name, number, 1))));
    let of = "events?fieldSelector=involvedObject.kind%3DApp";
    assert_eq!(house.names(of).await, ["blog.1", "wiki.3"]);
    assert_eq!(house.names(&format!("{of},involvedObject.name%3Dblog")).await, ["blog.1"]);
    assert_eq!(house.names("events?fieldSelector=involvedObject.name!=blog").await, ["wiki.3"]);
    assert_eq!(house.names("events?labelSelector=tier").await, [""; 0], "they have no labels");
}

#[tokio::test]
async fn clients_of_kubernetes_find_out_what_there_is() {
    let house = House::open().await;
    let groups = house.get("/apis").await.1;
    assert_eq!(
        (&groups["kind"], &groups["groups"][0]["preferredVersion"]["groupVersion"]),
        (&"APIGroupList".into(), &"lxcproxy.dev/v1".into())
    );
    assert_eq!(house.get("/apis/lxcproxy.dev").await.1["versions"][0]["version"], "v1");
    let resources = house.get(API).await.1;
    let names: Vec<_> = resources["resources"].as_array().unwrap().iter().map(|resource| resource["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["apps", "gateways", "sources", "events", "backends"]);
    assert_eq!(house.get("/version").await.1["gitVersion"], concat!("v", env!("CARGO_PKG_VERSION")));
}
