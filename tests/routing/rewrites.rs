//! `URLRewrite`: the host and the path that a backend sees.

use super::echo::Echoes;
use super::table::hold;

#[test]
fn the_host_is_replaced_for_the_backend() {
    let spec = "
hostnames: [rewrite.test]
rules:
- matches: [{path: {value: /one}}]
  filters: [{type: URLRewrite, urlRewrite: {hostname: one.example.org}}]
  backendRefs: [{name: one}]
- filters: [{type: URLRewrite, urlRewrite: {hostname: example.org}}]
  backendRefs: [{name: two}]
- matches: [{path: {value: /modify}}]
  filters:
  - {type: URLRewrite, urlRewrite: {hostname: test.example.org}}
  - type: RequestHeaderModifier
    requestHeaderModifier:
      set: [{name: X-Header-Set, value: set-overwrites-values}]
      add: [{name: X-Header-Add, value: header-val-1}, {name: X-Header-Add-Append, value: header-val-2}]
      remove: [X-Header-Remove]
  backendRefs: [{name: two}]
- matches: [{path: {value: /reference}}]
  filters: [{type: URLRewrite, urlRewrite: {hostname: rule.example.org}}]
  backendRefs: [{name: three, filters: [{type: URLRewrite, urlRewrite: {hostname: reference.example.org}}]}]
";
    let table = "
        GET /one; @rewrite.test                 => one; /one; @one.example.org
        GET /one/x; @rewrite.test:8080          => one; @one.example.org; x-forwarded-host: rewrite.test:8080
        GET /two; @rewrite.test                 => two; /two; @example.org
        GET /modify; @rewrite.test; X-Header-Remove: v; X-Header-Add-Append: append-val-1 => two; /modify; @test.example.org; x-header-add: header-val-1; x-header-add-append: append-val-1, header-val-2; x-header-set: set-overwrites-values; -x-header-remove
        GET /reference; @rewrite.test           => three; @reference.example.org
        GET /one; @example.org                  => 404
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}

#[test]
fn the_path_is_replaced_whole_or_its_prefix_with_one_slash_at_the_seam() {
    let modified = "
  - type: RequestHeaderModifier
    requestHeaderModifier:
      set: [{name: X-Header-Set, value: set-overwrites-values}]
      add: [{name: X-Header-Add, value: header-val-1}, {name: X-Header-Add-Append, value: header-val-2}]
      remove: [X-Header-Remove]";
    let rule = |path: &str, edit: &str, more: &str| {
        format!(
            "- matches: [{{path: {{value: {path}}}}}]\n  filters:\n  - {{type: URLRewrite, urlRewrite: {{path: {{{edit}}}}}}}{more}\n  backendRefs: [{{name: one}}]\n"
        )
    };
    let prefix = |path: &str, new: &str| rule(path, &format!("type: ReplacePrefixMatch, replacePrefixMatch: \"{new}\""), "");
    let spec = [
        "rules:\n".to_owned(),
        prefix("/prefix/one", "/one"),
        prefix("/strip-prefix", "/"),
        prefix("/empty", ""),
        prefix("/foo", "/xyz"),
        prefix("/bar", "/xyz/"),
        prefix("/baz/", "/xyz"),
        prefix("/qux/", "/xyz/"),
        prefix("/deep", "/a/b/c"),
        prefix("/other/", "/"),
        rule("/full/one", "type: ReplaceFullPath, replaceFullPath: /one", ""),
        rule("/full/slash", "type: ReplaceFullPath, replaceFullPath: /one/", ""),
        rule("/full/modify", "type: ReplaceFullPath, replaceFullPath: /test", modified),
        rule("/prefix/modify", "type: ReplacePrefixMatch, replacePrefixMatch: /prefix", modified),
        prefix("/", "/root"),
    ];
    let sent = "X-Header-Remove: v; X-Header-Add-Append: append-val-1; X-Header-Set: v";
    let seen = "x-header-add: header-val-1; x-header-add-append: append-val-1, header-val-2; x-header-set: set-overwrites-values; -x-header-remove";
    let table = "
        GET /prefix/one/two             => one; /one/two
        GET /prefix/one                 => one; /one
        GET /prefix/one/                => one; /one/
        GET /strip-prefix/three         => one; /three
        GET /strip-prefix               => one; /
        GET /strip-prefix/              => one; /
        GET /strip-prefix?q             => one; /?q
        GET /strip-prefix//x            => one; /x
        GET /strip-prefix///x           => one; /x
        GET /strip-prefix/a//b          => one; /a//b
        GET /empty                      => one; /
        GET /empty/                     => one; /
        GET /empty/bar                  => one; /bar
        GET /empty//bar                 => one; /bar
        GET /foo                        => one; /xyz
        GET /foo/                       => one; /xyz/
        GET /foo/bar                    => one; /xyz/bar
        GET /foo//bar                   => one; /xyz/bar
        GET /foo/bar/?x=/foo            => one; /xyz/bar/?x=/foo
        GET /foo/foo                    => one; /xyz/foo
        GET /foo%2Fbar                  => one; /root/foo%2Fbar
        GET /bar                        => one; /xyz
        GET /bar/                       => one; /xyz/
        GET /bar/x                      => one; /xyz/x
        GET /baz/x                      => one; /xyz/x
        GET /baz                        => one; /xyz
        GET /baz/                       => one; /xyz/
        GET /qux/x                      => one; /xyz/x
        GET /qux                        => one; /xyz
        GET /deep/d%20e                 => one; /a/b/c/d%20e
        GET /other/x                    => one; /x
        GET /other                      => one; /
        GET /x                          => one; /root/x
        GET /                           => one; /root/
        GET //x                         => one; /root/x
        GET /foo/../x/./y               => one; /root/x/y
        GET /full/one/two               => one; /one
        GET /full/one?a=b&c             => one; /one?a=b&c
        GET /full/slash/x               => one; /one/
        GET /full/modify/test; SENT     => one; /test; SEEN
        GET /prefix/modify/one; SENT    => one; /prefix/one; SEEN
        ";
    hold(Echoes::new().daemon(&[("app", &spec.concat())]).address(), &table.replace("SENT", sent).replace("SEEN", seen));
}

#[test]
fn a_backend_reference_rewrites_what_was_matched_whatever_the_rule_did() {
    let spec = "
rules:
- matches: [{path: {value: /full}}]
  backendRefs: [{name: one, filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /rewritten-full}}}]}]
- matches: [{path: {value: /prefix}}]
  backendRefs: [{name: one, filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /rewritten-prefix}}}]}]
- matches: [{path: {value: /both}}]
  filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /of-the-rule}}}]
  backendRefs:
  - {name: two, filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /of-the-reference}}}]}
";
    let table = "
        GET /full/original          => one; /rewritten-full
        GET /prefix/original        => one; /rewritten-prefix/original
        GET /prefix                 => one; /rewritten-prefix
        GET /both/x?q               => two; /of-the-reference/x?q
        ";
    hold(Echoes::new().daemon(&[("app", spec)]).address(), table);
}
