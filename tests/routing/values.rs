//! Fields, query parameters, methods: alone and together.

use super::echo::Echoes;
use super::table::hold;

#[test]
fn fields_are_matched_by_value_and_the_most_of_them_win() {
    let spec = r#"
rules:
- matches: [{headers: [{name: version, value: one}]}]
  backendRefs: [{name: one}]
- matches: [{headers: [{name: version, value: two}]}]
  backendRefs: [{name: two}]
- matches: [{headers: [{name: Version, value: two}, {name: Color, value: orange}]}]
  backendRefs: [{name: one}]
- matches:
  - headers: [{name: color, value: blue}]
  - headers: [{name: color, value: green}]
  backendRefs: [{name: one}]
- matches:
  - headers: [{name: color, value: red}]
  - headers: [{name: color, value: yellow}]
  backendRefs: [{name: two}]
- matches: [{headers: [{name: agent, type: RegularExpression, value: "curl/[0-9.]+"}]}]
  backendRefs: [{name: three}]
- matches: [{headers: [{name: several, value: "a,b"}]}]
  backendRefs: [{name: three}]
- matches: [{headers: [{name: empty, value: ""}]}]
  backendRefs: [{name: three}]
"#;
    let table = "
        GET /; Version: one                     => one
        GET /; version: two                     => two
        GET /; VERSION: two; Color: orange      => one
        GET /; Version: two; Color: blue        => two
        GET /; Color: orange                    => 404
        GET /; Some-Other: one                  => 404
        GET /; Color: blue                      => one
        GET /; Color: green                     => one
        GET /; Color: red                       => two
        GET /; Color: yellow                    => two
        GET /; Color: purple                    => 404
        GET /; Color: Blue                      => 404
        GET /; Color: blue2                     => 404
        GET /; Version:   one                   => one
        GET /deep/path?q; Version: one          => one; /deep/path?q
        GET /; Agent: curl/8.1                  => three
        GET /; Agent: curl/8.1x                 => 404
        GET /; Agent: a curl/8.1                => 404
        GET /; Several: a; Several: b           => three
        GET /; Several: b; Several: a           => 404
        GET /; Several: a                       => 404
        GET /; Color: blue; Color: red          => 404
        GET /; Empty:                           => three
        GET /                                   => 404
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn query_parameters_are_matched_decoded_and_the_first_of_a_name_counts() {
    let spec = r#"
rules:
- matches: [{queryParams: [{name: animal, value: whale}]}]
  backendRefs: [{name: one}]
- matches: [{queryParams: [{name: animal, value: dolphin}]}]
  backendRefs: [{name: two}]
- matches:
  - queryParams: [{name: animal, value: dolphin}, {name: color, value: blue}]
  - queryParams: [{name: ANIMAL, value: Whale}]
  backendRefs: [{name: three}]
- matches: [{path: {value: /path1}, queryParams: [{name: animal, value: whale}]}]
  backendRefs: [{name: one}]
- matches: [{headers: [{name: version, value: one}], queryParams: [{name: animal, value: whale}]}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /path2}, headers: [{name: version, value: two}], queryParams: [{name: animal, value: whale}]}]
  backendRefs: [{name: three}]
- matches:
  - {path: {value: /path3}, queryParams: [{name: animal, value: shark}]}
  - {path: {value: /path4}, headers: [{name: version, value: three}], queryParams: [{name: animal, value: kraken}]}
  backendRefs: [{name: one}]
- matches: [{path: {value: /path5}}]
  backendRefs: [{name: one}]
- matches: [{queryParams: [{name: animal, value: hydra}]}]
  backendRefs: [{name: two}]
- matches: [{headers: [{name: version, value: four}]}]
  backendRefs: [{name: three}]
- matches: [{queryParams: [{name: id, type: RegularExpression, value: "[0-9]+"}]}]
  backendRefs: [{name: one}]
- matches: [{queryParams: [{name: "a b", value: "c&d"}]}]
  backendRefs: [{name: two}]
"#;
    let table = "
        GET /?animal=whale                          => one; /?animal=whale
        GET /?animal=dolphin                        => two
        GET /?animal=dolphin&color=blue             => three
        GET /?color=blue&animal=dolphin             => three
        GET /?ANIMAL=Whale                          => three
        GET /?animal=whale&otherparam=irrelevant    => one
        GET /?animal=dolphin&color=yellow           => two
        GET /?color=blue                            => 404
        GET /?animal=dog                            => 404
        GET /?animal=whaledolphin                   => 404
        GET /?animal=Whale                          => 404
        GET /?animal                                => 404
        GET /?animal=                               => 404
        GET /                                       => 404
        GET /path1?animal=whale                     => one
        GET /?animal=whale; version: one            => two
        GET /path2?animal=whale; version: two       => three
        GET /path3?animal=shark                     => one
        GET /path4?animal=kraken; version: three    => one
        GET /?animal=shark                          => 404
        GET /path4?animal=kraken                    => 404
        GET /path4; version: three                  => 404
        GET /path5?animal=hydra                     => one
        GET /?animal=hydra; version: four           => three
        GET /?animal=whale&animal=dolphin           => one
        GET /?animal=dolphin&animal=whale           => two
        GET /?animal=wh%61le                        => one; /?animal=wh%61le
        GET /?%61nimal=whale                        => one
        GET /?id=12                                 => one
        GET /?id=12x                                => 404
        GET /?a+b=c%26d                             => two; /?a+b=c%26d
        GET /?a%20b=c%26d                           => two
        GET /?a%2Bb=c%26d                           => 404
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn methods_are_matched_and_head_is_not_get() {
    let spec = "
rules:
- matches: [{method: POST}]
  backendRefs: [{name: one}]
- matches: [{method: GET}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /path1}, method: GET}]
  backendRefs: [{name: one}]
- matches: [{headers: [{name: version, value: one}], method: PUT}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /path2}, headers: [{name: version, value: two}], method: POST}]
  backendRefs: [{name: three}]
- matches:
  - {path: {value: /path3}, method: PATCH}
  - {path: {value: /path4}, headers: [{name: version, value: three}], method: DELETE}
  backendRefs: [{name: one}]
- matches: [{path: {value: /path5}}]
  backendRefs: [{name: one}]
- matches: [{method: PATCH}]
  backendRefs: [{name: two}]
- matches: [{headers: [{name: version, value: four}]}]
  backendRefs: [{name: three}]
- matches: [{path: {value: /path6}, method: OPTIONS}]
  backendRefs: [{name: three}]
";
    let table = "
        POST /                                => one
        GET /                                 => two
        HEAD /                                => 404
        HEAD /path5                           => one
        GET /path1                            => one
        POST /path1                           => one
        PUT /; version: one                   => two
        POST /path2; version: two             => three
        POST /path2                           => one
        PATCH /path3                          => one
        DELETE /path4; version: three         => one
        PUT /                                 => 404
        PUT /path1                            => 404
        DELETE /path4                         => 404
        DELETE /path3                         => 404
        PATCH /path5                          => one
        PATCH /; version: four                => two
        PUT /; version: four                  => three
        OPTIONS /path6                        => three
        OPTIONS /                             => 404
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}
