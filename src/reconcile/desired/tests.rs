//! What listings mean for Apps and Gateways.

use super::*;
use crate::manifest;

fn app(name: &str) -> String {
    format!("apiVersion: lxcproxy.dev/v1\nkind: App\nmetadata: {{name: {name}}}\nspec: {{rules: [{{}}]}}\n")
}

fn gateway(name: &str) -> String {
    let spec = "{listeners: [{name: http, port: 80, protocol: HTTP}]}";
    format!("apiVersion: lxcproxy.dev/v1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

fn listing(files: &[(&str, &str)]) -> BTreeMap<String, File> {
    let parsed = |(path, text): &(&str, &str)| {
        let content = Ok(Arc::new(manifest::parse(path, text.as_bytes())));
        ((*path).to_owned(), File { base: PathBuf::from("/etc/lxcproxy.d"), content })
    };
    files.iter().map(parsed).collect()
}

fn names(of: &[(&str, &str)]) -> BTreeMap<AppName, String> {
    of.iter().map(|(name, file)| (name.parse().unwrap(), (*file).to_owned())).collect()
}

fn owners(apps: &[(&str, &str)]) -> Owners {
    Owners { apps: names(apps), gateways: BTreeMap::new() }
}

fn gateways(gateways: &[(&str, &str)]) -> Owners {
    Owners { apps: BTreeMap::new(), gateways: names(gateways) }
}

#[test]
fn a_file_that_cannot_be_read_holds_the_apps_that_came_from_it() {
    let files = listing(&[("a.yaml", "kind: ["), ("b.yaml", &app("b"))]);
    let Assignment { apps, .. } = assign(&files, &owners(&[("a", "a.yaml"), ("b", "b.yaml"), ("c", "c.yaml")]));
    assert!(apps.objects["a"].object.is_err());
    assert!(apps.objects["b"].object.is_ok());
    assert!(!apps.objects.contains_key("c"), "its file is gone");
    assert!(apps.strays.is_empty());
}

#[test]
fn a_file_that_cannot_be_read_holds_the_gateways_that_came_from_it_and_is_no_stray() {
    let owners = Owners { apps: names(&[("b", "a.yaml")]), ..gateways(&[("a", "a.yaml"), ("w", "w.yaml")]) };
    for broken in ["kind: [", "5", "kind: Gatewy\nmetadata: {name: x y}\n"] {
        let assignment = assign(&listing(&[("a.yaml", broken), ("w.yaml", broken)]), &owners);
        let held = |name: &str| assignment.gateways.objects.get(name).is_some_and(|desired| desired.object.is_err());
        assert!(held("a") && held("w"), "{broken}");
        assert!(assignment.apps.objects["b"].object.is_err(), "{broken}");
        assert!(assignment.apps.strays.is_empty() && assignment.gateways.strays.is_empty(), "{broken}");
    }
}

#[test]
fn a_document_that_has_lost_its_kind_is_still_the_gateway_that_it_was() {
    let text = gateway("web").replace("kind: Gateway\n", "");
    let assignment = assign(&listing(&[("a.yaml", &text)]), &gateways(&[("web", "a.yaml")]));
    assert!(assignment.gateways.objects["web"].object.is_err());
    assert!(assignment.apps.objects.is_empty());
    let assignment = assign(&listing(&[("a.yaml", &text)]), &Owners::default());
    assert!(assignment.apps.objects["web"].object.is_err(), "of what nobody knows an App is the guess");
}

#[test]
fn a_broken_file_that_never_held_an_app_is_shown_by_its_path() {
    let Assignment { apps, gateways } = assign(&listing(&[("x.yaml", "kind: [")]), &Owners::default());
    assert_eq!(apps.strays.len(), 1);
    assert_eq!(apps.strays[0].name, "x.yaml");
    assert!(apps.strays[0].refusal.message().starts_with("x.yaml:1:"), "{:?}", apps.strays[0].refusal);
    assert!(gateways.strays.is_empty(), "once is enough");
}

#[test]
fn a_gateway_without_a_name_is_a_stray_among_the_gateways() {
    let text = gateway("web").replace("name: web", "name: We_b");
    let Assignment { apps, gateways } = assign(&listing(&[("x.yaml", &text)]), &owners(&[("held", "x.yaml")]));
    assert!(apps.strays.is_empty() && apps.objects.is_empty(), "its kind can be read: it holds no App");
    assert_eq!((gateways.strays.len(), gateways.strays[0].name.as_str()), (1, "x.yaml"));
}

#[test]
fn the_file_that_had_a_name_keeps_it() {
    let files = listing(&[("a.yaml", &app("same")), ("b.yaml", &app("same"))]);
    let Assignment { apps, .. } = assign(&files, &owners(&[("same", "b.yaml")]));
    assert_eq!(apps.objects["same"].file, "b.yaml");
    assert_eq!((apps.strays[0].file.as_str(), apps.strays[0].refusal.reason), ("a.yaml", Reason::NameConflict));
    assert_eq!(assign(&files, &Owners::default()).apps.objects["same"].file, "a.yaml");
}

#[test]
fn names_are_those_of_a_kind() {
    let files = listing(&[("a.yaml", &gateway("same")), ("b.yaml", &gateway("same")), ("c.yaml", &app("same"))]);
    let Assignment { apps, gateways } = assign(&files, &gateways(&[("same", "b.yaml")]));
    assert_eq!((gateways.objects["same"].file.as_str(), apps.objects["same"].file.as_str()), ("b.yaml", "c.yaml"));
    let stray = &gateways.strays[0];
    assert_eq!((stray.file.as_str(), stray.refusal.reason), ("a.yaml", Reason::NameConflict));
    assert!(stray.refusal.message().contains("the Gateway in b.yaml"), "{:?}", stray.refusal);
}

#[test]
fn one_bad_document_does_not_touch_the_others_of_its_file() {
    let text = [app("good"), app("bad").replace("rules", "rulez"), gateway("web"), gateway("bad").replace("80", "eighty")].join("---\n");
    let Assignment { apps, gateways } = assign(&listing(&[("a.yaml", &text)]), &Owners::default());
    assert!(apps.objects["good"].object.is_ok() && gateways.objects["web"].object.is_ok());
    assert_eq!(apps.objects["bad"].object.as_ref().unwrap_err().reason, Reason::Invalid);
    assert_eq!(gateways.objects["bad"].object.as_ref().unwrap_err().reason, Reason::Invalid);
}

#[test]
fn what_is_not_supported_yet_is_told_from_what_is_wrong() {
    let text = gateway("web").replace("HTTP}", "HTTPS}");
    let Assignment { gateways, .. } = assign(&listing(&[("a.yaml", &text)]), &Owners::default());
    assert_eq!(gateways.objects["web"].object.as_ref().unwrap_err().reason, Reason::UnsupportedValue);
}
