//! Paths: exact, by prefix, by expression.

use super::echo::Echoes;
use super::table::hold;

#[test]
fn exact_paths_are_compared_byte_by_byte() {
    let spec = "
rules:
- matches: [{path: {type: Exact, value: /one}}]
  backendRefs: [{name: one}]
- matches: [{path: {type: Exact, value: /two}}]
  backendRefs: [{name: two}]
- matches: [{path: {type: Exact, value: /three/}}]
  backendRefs: [{name: three}]
";
    let table = "
        GET /one           => one; /one
        GET /two           => two
        GET /three/        => three; /three/
        GET /one?q=1       => one; /one?q=1
        GET /one?          => one; /one?
        GET /x/../one      => one; /one
        GET /%2e/two       => two; /two
        GET /              => 404
        GET /one/example   => 404
        GET /one/          => 404
        GET /two/          => 404
        GET /three         => 404
        GET /Two           => 404
        GET //one          => 404
        GET /on%65         => 404
        GET /one%2F        => 404
        GET /one;v=1       => 404
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn prefixes_are_compared_by_whole_elements() {
    let spec = "
rules:
- matches: [{path: {type: PathPrefix, value: /}}]
  backendRefs: [{name: one}]
- matches: [{path: {value: /v2}}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /v2/deep/}}]
  backendRefs: [{name: three}]
";
    let table = "
        GET /                  => one
        GET /example           => one
        GET /v2                => two
        GET /v2/               => two
        GET /v2/example        => two
        GET /v2?v2             => two; /v2?v2
        GET /v2example         => one
        GET /v2.html           => one
        GET /V2                => one
        GET /foo/v2/example    => one
        GET /v2/deep           => three
        GET /v2/deep/          => three
        GET /v2/deep/er        => three
        GET /v2/deeper         => two
        GET /v2//deep          => two; /v2//deep
        GET //v2               => one; //v2
        GET /v2%2Fdeep         => one; /v2%2Fdeep
        GET /v%32/deep         => one; /v%32/deep
        GET /v2/./deep         => three; /v2/deep
        GET /v2/deep/..        => two; /v2/
        GET /v2/x/../deep/y    => three; /v2/deep/y
        GET /v2/%2e%2E/v3      => one; /v3
        GET /v2/deep/.../x     => three; /v2/deep/.../x
        GET /../v2             => 400
        GET /v2/%2e%2e/../x    => 400
        GET /v2/%00            => 400
        GET /v2/%zz            => 400
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn the_most_specific_path_wins_wherever_it_stands() {
    let spec = "
rules:
- matches: [{path: {type: PathPrefix, value: /match/}}]
  backendRefs: [{name: three}]
- matches: [{path: {type: Exact, value: /match}}]
  backendRefs: [{name: one}]
- matches: [{path: {type: Exact, value: /match/exact}}]
  backendRefs: [{name: two}]
- matches: [{path: {type: PathPrefix, value: /match/prefix/}}]
  backendRefs: [{name: one}]
- matches: [{path: {type: Exact, value: /match/exact/one}}]
  backendRefs: [{name: three}]
- matches: [{path: {type: PathPrefix, value: /match/prefix/one}}]
  backendRefs: [{name: two}]
";
    let table = "
        GET /match/exact/one        => three
        GET /match/exact            => two
        GET /match                  => one
        GET /match/                 => three
        GET /match/prefix/one/any   => two
        GET /match/prefix/one       => two
        GET /match/prefix/ones      => one
        GET /match/prefix/any       => one
        GET /match/prefix           => one
        GET /match/any              => three
        GET /match/exact/           => three
        GET /matches                => 404
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn expressions_match_whole_paths_after_everything_else() {
    let spec = r#"
rules:
- matches: [{path: {type: RegularExpression, value: "/api/v[0-9]+"}}]
  backendRefs: [{name: one}]
- matches: [{path: {type: RegularExpression, value: "/img/.+\\.(png|jpe?g)"}}]
  backendRefs: [{name: two}]
- matches: [{path: {type: RegularExpression, value: "/a|/b"}}]
  backendRefs: [{name: three}]
- matches: [{path: {value: /api/v7}}]
  backendRefs: [{name: two}]
- matches: [{path: {type: Exact, value: /api/v8}}]
  backendRefs: [{name: three}]
- matches: [{path: {type: RegularExpression, value: "/(?i)case"}}]
  backendRefs: [{name: one}]
- matches: [{path: {type: RegularExpression, value: "/api/v[0-9]+"}, method: POST}]
  backendRefs: [{name: three}]
"#;
    let table = "
        GET /api/v1             => one
        GET /api/v10?v=x        => one
        GET /api/v              => 404
        GET /api/v1/            => 404
        GET /x/api/v1           => 404
        GET /api/v7             => two
        GET /api/v8             => three
        POST /api/v9            => three
        GET /img/a/b.png        => two
        GET /img/a.jpeg         => two
        GET /img/.png           => 404
        GET /img/a.png/x        => 404
        GET /img/a_png          => 404
        GET /a                  => three
        GET /b                  => three
        GET /ab                 => 404
        GET /CaSe               => one
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}
