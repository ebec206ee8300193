//! `RequestHeaderModifier` and `ResponseHeaderModifier`, on rules and on backend references.

use super::echo::Echoes;
use super::table::hold;

const MODIFIERS: [(&str, &str); 7] = [
    ("/set", "set: [{name: X-Header-Set, value: set-overwrites-values}]"),
    ("/add", "add: [{name: X-Header-Add, value: add-appends-values}]"),
    ("/remove", "remove: [X-Header-Remove]"),
    (
        "/multiple",
        "set: [{name: X-Header-Set-1, value: header-set-1}, {name: X-Header-Set-2, value: header-set-2}], \
         add: [{name: X-Header-Add-1, value: header-add-1}, {name: X-Header-Add-2, value: header-add-2}, {name: X-Header-Add-3, value: header-add-3}], \
         remove: [X-Header-Remove-1, X-Header-Remove-2]",
    ),
    (
        "/case-insensitivity",
        "set: [{name: X-Header-Set, value: header-set}], remove: [X-Header-Remove], \
         add: [{name: X-Header-Add, value: header-add}, {name: x-lowercase-add, value: lowercase-add}, \
         {name: x-Mixedcase-ADD-1, value: mixedcase-add-1}, {name: X-UPPERCASE-ADD, value: uppercase-add}]",
    ),
    ("/twice", "add: [{name: X-Add, value: first}, {name: X-Add, value: second}]"),
    ("/order", "set: [{name: X-A, value: set}], add: [{name: X-A, value: added}, {name: X-B, value: added}], remove: [X-B]"),
];

/// Holds the modifiers of one kind to a table: first on the rules, then on their backend references.
fn hold_both(kind: &str, field: &str, table: &str) {
    for on_reference in [false, true] {
        let rule = |(path, edit): &(&str, &str)| {
            let (filters, nothing) = (format!("filters: [{{type: {kind}, {field}: {{{edit}}}}}]"), "filters: []".to_owned());
            let (rule, reference) = if on_reference { (nothing, filters) } else { (filters, nothing) };
            format!("- {{matches: [{{path: {{value: {path}}}}}], {rule}, backendRefs: [{{name: one, {reference}}}]}}\n")
        };
        let spec = format!("rules:\n{}", MODIFIERS.iter().map(rule).collect::<String>());
        hold(Echoes::new().daemon(&[("app", &spec)]).address(), table);
    }
}

#[test]
fn fields_of_requests_are_set_added_and_removed() {
    let table = "
        GET /set; Some-Other: val => one; /set; some-other: val; x-header-set: set-overwrites-values
        GET /set; X-Header-Set: other; x-header-set: another => one; x-header-set: set-overwrites-values
        GET /add; Some-Other: val => one; some-other: val; x-header-add: add-appends-values
        GET /add; X-Header-Add: some-other-value => one; x-header-add: some-other-value, add-appends-values
        GET /remove; X-Header-Remove: val; x-header-remove: val => one; -x-header-remove
        GET /remove => one; -x-header-remove
        GET /multiple; X-Header-Set-2: a; X-Header-Add-2: b; X-Header-Remove-2: c; Another: d => one; x-header-set-1: header-set-1; x-header-set-2: header-set-2; x-header-add-1: header-add-1; x-header-add-2: b, header-add-2; x-header-add-3: header-add-3; another: d; -x-header-remove-1; -x-header-remove-2
        GET /case-insensitivity; x-header-set: a; x-header-add: b; x-header-remove: c; Another: d => one; x-header-set: header-set; x-header-add: b, header-add; x-lowercase-add: lowercase-add; x-mixedcase-add-1: mixedcase-add-1; x-uppercase-add: uppercase-add; another: d; -x-header-remove
        GET /twice => one; x-add: first, second
        GET /twice; X-Add: own => one; x-add: own, first, second
        GET /order; X-A: own; X-B: own => one; x-a: set, added; -x-b
        POST /set => one; x-header-set: set-overwrites-values
        HEAD /add => one; x-header-add: add-appends-values
        ";
    hold_both("RequestHeaderModifier", "requestHeaderModifier", table);
}

#[test]
fn fields_of_answers_are_set_added_and_removed() {
    let table = "
        GET /set; X-Answer: Some-Other=val => one; <some-other: val; <x-header-set: set-overwrites-values
        GET /set; X-Answer: X-Header-Set=a|x-header-set=b => one; <x-header-set: set-overwrites-values
        GET /add; X-Answer: Some-Other=val => one; <some-other: val; <x-header-add: add-appends-values
        GET /add; X-Answer: X-Header-Add=some-other-value => one; <x-header-add: some-other-value, add-appends-values
        GET /remove; X-Answer: X-Header-Remove=val|X-Header-Remove=val => one; <-x-header-remove
        GET /multiple; X-Answer: X-Header-Set-2=a|X-Header-Add-2=b|X-Header-Remove-2=c|Another=d|X-Header-Remove-1=e => one; <x-header-set-1: header-set-1; <x-header-set-2: header-set-2; <x-header-add-1: header-add-1; <x-header-add-2: b, header-add-2; <x-header-add-3: header-add-3; <another: d; <-x-header-remove-1; <-x-header-remove-2
        GET /case-insensitivity; X-Answer: x-header-set=a|x-header-add=b|x-header-remove=c|Another=d => one; <x-header-set: header-set; <x-header-add: b, header-add; <x-lowercase-add: lowercase-add; <x-mixedcase-add-1: mixedcase-add-1; <x-uppercase-add: uppercase-add; <another: d; <-x-header-remove
        GET /twice => one; <x-add: first, second; -x-add
        GET /order; X-Answer: X-A=own|X-B=own => one; <x-a: set, added; <-x-b
        HEAD /set => one; <x-header-set: set-overwrites-values
        ";
    hold_both("ResponseHeaderModifier", "responseHeaderModifier", table);
}

#[test]
fn both_ways_together_on_references_and_on_answers_of_our_own() {
    let spec = r#"
rules:
- matches: [{path: {value: /both}}]
  filters:
  - type: ResponseHeaderModifier
    responseHeaderModifier:
      set: [{name: X-Set, value: answer}]
      add: [{name: X-Add, value: answer}]
      remove: [X-Remove]
  - type: RequestHeaderModifier
    requestHeaderModifier:
      set: [{name: X-Set, value: request}]
      add: [{name: X-Add, value: request}]
      remove: [X-Remove]
  backendRefs: [{name: one}]
- matches: [{path: {value: /reference}}]
  filters:
  - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Who, value: rule}], add: [{name: X-Add, value: rule}]}}
  - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: X-Add, value: rule}]}}
  backendRefs:
  - name: two
    filters:
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Who, value: reference}], add: [{name: X-Add, value: reference}]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: X-Add, value: reference}]}}
- matches: [{path: {value: /three}}]
  filters:
  - {type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: Vary, value: first}]}}
  - {type: CORS, cors: {allowOrigins: ["https://some.test"]}}
  backendRefs:
  - name: two
    filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: Vary, value: third}]}}]
- matches: [{path: {value: /values}}]
  filters:
  - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Values, value: "{scheme} {host} {path} {query} {client_ip}"}]}}
  - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Values, value: "{path}?{query}"}]}}
  backendRefs: [{name: one}]
- matches: [{path: {value: /error}}]
  filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Set, value: error}]}}]
- matches: [{path: {value: /redirect}}]
  filters:
  - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Set, value: redirect}]}}
  - {type: RequestRedirect, requestRedirect: {scheme: https}}
"#;
    let table = "
        GET /both; X-Remove: a; X-Add: b; X-Answer: X-Remove=c|X-Add=d|X-Set=e|X-Echo=f => one; x-set: request; x-add: b, request; -x-remove; <x-set: answer; <x-add: d, answer; <-x-remove; <x-echo: f
        GET /reference; X-Answer: X-Add=own => two; x-who: reference; x-add: rule, reference; <x-add: own, reference, rule
        GET /three => two; <vary: third, Origin, first
        GET /values/x?a=b; @Some.test:81 => one; x-values: http some.test /values/x a=b 127.0.0.1; <x-values: /values/x?a=b
        GET /error => 500; <x-set: error
        GET /redirect => 302 https://host.test/redirect; <x-set: redirect
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}
