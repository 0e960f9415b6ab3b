//! Rules about Rust files: how they open, how long they are, where `unsafe` is.
//!
//! Lengths come from the syntax tree. `unsafe` is looked for among the tokens,
//! which also sees into macros.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::Problem;
use super::ratchet::TooLong;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Where `unsafe` may be: the runtime, the call shim of the host API, and the
/// tests of the host API, which install signal handlers of their own.
const UNSAFE_HOMES: [&str; 3] = [
    "crates/runtime/",
    "crates/upshift/src/shim.rs",
    "crates/upshift/tests/",
];

/// Crates whose lib.rs cannot forbid `unsafe` for the whole crate.
const UNSAFE_CRATES: [&str; 2] = ["crates/runtime/", "crates/upshift/"];

const FORBID: &str = "#![forbid(unsafe_code)]";

/// What silences a lint for a whole crate or module.
const ALLOW: &str = "#![allow(";

/// What is wrong with a file, and what is too long unless it is on the list.
pub(super) struct Checked {
    pub(super) problems: Vec<Problem>,
    pub(super) too_long: Vec<TooLong>,
}

pub(super) fn check(path: &str, text: &str) -> Checked {
    let mut checked = Checked {
        problems: Vec::new(),
        too_long: Vec::new(),
    };
    if !text.starts_with("//!") {
        let first = text.lines().next().unwrap_or_default();
        checked.problems.push(Problem::new(
            path,
            1,
            format!("expected the file to open with //!, found {first:?}"),
        ));
    }
    if is_crate_root(path)
        && !UNSAFE_CRATES.iter().any(|home| path.starts_with(home))
        && !text.contains(FORBID)
    {
        checked.problems.push(Problem::new(
            path,
            1,
            format!("expected {FORBID}, found none"),
        ));
    }
    for (line, content) in (1..).zip(text.lines()) {
        if content.starts_with(ALLOW) {
            let message = format!("expected #[expect(..)] at one item, found {ALLOW}..) for all");
            checked.problems.push(Problem::new(path, line, message));
        }
    }
    let file = match syn::parse_file(text) {
        Ok(file) => file,
        Err(error) => {
            let line = error.span().start().line;
            checked.problems.push(Problem::new(
                path,
                line,
                format!("expected Rust, found: {error}"),
            ));
            return checked;
        }
    };
    check_lengths(path, text, &file, &mut checked.too_long);
    let tokens: TokenStream = text.parse().unwrap_or_default();
    check_unsafe(path, text, tokens, &mut checked.problems);
    checked
}

/// Roots of libraries and programs; tests and examples have their own rules.
fn is_crate_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")
}

// ---- lengths ----------------------------------------------------------------

/// Collects functions, and the rows of data tables: lines inside macro calls
/// that stand as items.
struct Lengths<'t> {
    lines: Vec<&'t str>,
    /// Name, line of the start, and length.
    functions: Vec<(String, usize, usize)>,
    table_rows: usize,
}

fn check_lengths(path: &str, text: &str, file: &syn::File, too_long: &mut Vec<TooLong>) {
    let mut lengths = Lengths {
        lines: text.lines().collect(),
        functions: Vec::new(),
        table_rows: 0,
    };
    lengths.visit_file(file);
    let file_lines = lengths.lines.len() - lengths.table_rows;
    let mut report = |line, item: &str, lines, lines_max| {
        if lines > lines_max {
            too_long.push(TooLong {
                path: path.to_owned(),
                line,
                item: item.to_owned(),
                lines,
                lines_max,
            });
        }
    };
    report(1, "-", file_lines, FILE_LINES_MAX);
    for (name, line, lines) in &lengths.functions {
        report(*line, name, *lines, FUNCTION_LINES_MAX);
    }
}

impl Lengths<'_> {
    /// Lines with code between the braces of a body; clippy's too_many_lines
    /// counts the same way, but cannot see what macros leave out.
    fn add_function(&mut self, name: &syn::Ident, body: &syn::Block) {
        let span = body.brace_token.span;
        let (first, last) = (span.open().start().line, span.close().end().line);
        let inside = self
            .lines
            .get(first..last.saturating_sub(1))
            .unwrap_or_default();
        let code = inside
            .iter()
            .map(|line| line.trim())
            .filter(|line| !line.is_empty() && !line.starts_with("//"));
        self.functions
            .push((name.to_string(), name.span().start().line, code.count()));
    }
}

impl<'ast> Visit<'ast> for Lengths<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.add_function(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.add_function(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.add_function(&item.sig.ident, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        // `macro_rules! name` is code; `name! { rows }` is data.
        if item.ident.is_none() {
            let span = item.span();
            self.table_rows += span.end().line.saturating_sub(span.start().line);
        }
    }
}

// ---- unsafe -----------------------------------------------------------------

fn check_unsafe(path: &str, text: &str, tokens: TokenStream, problems: &mut Vec<Problem>) {
    let allowed = UNSAFE_HOMES.iter().any(|home| path.starts_with(home));
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    find_unsafe(tokens, &mut found);
    for (line, what) in found {
        if !allowed {
            let homes = UNSAFE_HOMES.join(", ");
            problems.push(Problem::new(
                path,
                line,
                format!("expected unsafe only in {homes}, found it here"),
            ));
        } else if what == Unsafe::NeedsReason && !has_reason(&lines, line) {
            problems.push(Problem::new(
                path,
                line,
                "expected a SAFETY comment above, found none",
            ));
        }
    }
}

/// What follows the word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsafe {
    /// A block or `impl`, which claims something.
    NeedsReason,
    /// A function, trait or block of foreign functions, which demands something.
    Demands,
}

fn find_unsafe(tokens: TokenStream, found: &mut Vec<(usize, Unsafe)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            find_unsafe(group.stream(), found);
        }
        if let TokenTree::Ident(ident) = token
            && ident == "unsafe"
            && let Some(what) = classify(&tokens[index + 1..])
        {
            found.push((ident.span().start().line, what));
        }
    }
}

/// None for `unsafe` in a type or attribute, where nothing unsafe happens.
fn classify(rest: &[TokenTree]) -> Option<Unsafe> {
    match rest.first()? {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            Some(Unsafe::NeedsReason)
        }
        // `#[unsafe(naked)]`
        TokenTree::Group(_) => Some(Unsafe::Demands),
        TokenTree::Ident(ident) if ident == "impl" => Some(Unsafe::NeedsReason),
        TokenTree::Ident(ident) if ident == "extern" || ident == "fn" => {
            let after = rest
                .iter()
                .position(|token| matches!(token, TokenTree::Ident(word) if word == "fn"));
            let next = after.and_then(|at| rest.get(at + 1));
            // `unsafe fn(..)` without a name is the type of a pointer.
            let is_type = matches!(next, Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
            (!is_type).then_some(Unsafe::Demands)
        }
        TokenTree::Ident(_) => Some(Unsafe::Demands),
        TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}

/// Whether `SAFETY:` stands in the line itself or above it in the same paragraph.
fn has_reason(lines: &[&str], line: usize) -> bool {
    let above = lines.get(..line).unwrap_or_default().iter().rev();
    let paragraph = above.take_while(|text| !text.trim().is_empty());
    // A long paragraph of code is no excuse: the reason has to be near.
    paragraph.take(25).any(|text| text.contains("SAFETY:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        check(path, text)
            .problems
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn files_open_with_their_purpose() {
        assert_eq!(messages("crates/a/src/b.rs", "//! What it is.\n"), [""; 0]);
        let found = messages("crates/a/src/b.rs", "// no\n");
        assert_eq!(
            found,
            ["crates/a/src/b.rs:1: expected the file to open with //!, found \"// no\""]
        );
    }

    #[test]
    fn roots_forbid_unsafe() {
        let plain = "//! A.\n";
        let strict = "//! A.\n#![forbid(unsafe_code)]\n";
        let cases = [
            ("crates/module/src/lib.rs", plain, 1),
            ("crates/module/src/lib.rs", strict, 0),
            ("crates/module/src/other.rs", plain, 0),
            ("crates/cli/src/main.rs", plain, 1),
            ("crates/runtime/src/lib.rs", plain, 0),
            ("crates/upshift/src/lib.rs", plain, 0),
        ];
        for (path, text, expected) in cases {
            assert_eq!(messages(path, text).len(), expected, "{path}");
        }
    }

    #[test]
    fn nothing_is_allowed_everywhere() {
        let text = "//! A.\n#![allow(dead_code)]\n";
        assert_eq!(messages("crates/a/src/b.rs", text).len(), 1);
        let text = "//! A.\n#[expect(dead_code, reason = \"b\")]\nfn f() {}\n";
        assert_eq!(messages("crates/a/src/b.rs", text), [""; 0]);
    }

    #[test]
    fn unsafe_has_an_address_and_a_reason() {
        let home = "crates/runtime/src/memory.rs";
        let away = "crates/module/src/memory.rs";
        let cases = [
            (away, "fn f() { unsafe { g() } }", 1),
            (away, "type F = unsafe extern \"C\" fn(u32);", 0),
            (away, "struct S { f: unsafe fn(u32) }", 0),
            (away, "unsafe fn f() {}", 1),
            (away, "macro_rules! m { () => { unsafe { g() } } }", 1),
            (home, "fn f() { unsafe { g() } }", 1),
            (home, "fn f() {\n // SAFETY: rule 1.\n unsafe { g() }\n}", 0),
            (home, "// SAFETY: rule 1.\n\nfn f() { unsafe { g() } }", 1),
            (home, "unsafe impl Send for S {}", 1),
            (home, "// SAFETY: rule 2.\nunsafe impl Send for S {}", 0),
            (home, "unsafe fn f() {}", 0),
        ];
        for (path, code, expected) in cases {
            let found = messages(path, &format!("//! A.\n{code}\n"));
            assert_eq!(found.len(), expected, "{code}: {found:?}");
        }
    }

    #[test]
    fn long_functions_and_files_are_found() {
        let function =
            |lines: usize| format!("//! A.\nfn f() {{\n{}}}\n", "    g();\n".repeat(lines));
        let comments = format!("//! A.\nfn f() {{\n{}}}\n", "    // why\n\n".repeat(90));
        let table = format!("//! A.\nrows! {{\n{}}}\n", "    row,\n".repeat(900));
        let cases = [
            (function(70), None),
            (function(71), Some(("f", 71))),
            (comments, None),
            (
                format!("//! A.\n{}", "const A: u32 = 0;\n".repeat(799)),
                None,
            ),
            (
                format!("//! A.\n{}", "const A: u32 = 0;\n".repeat(800)),
                Some(("-", 801)),
            ),
            (table, None),
        ];
        for (text, expected) in cases {
            let found = check("crates/a/src/b.rs", &text).too_long;
            let found = found.first().map(|long| (long.item.as_str(), long.lines));
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn broken_code_is_a_problem() {
        assert_eq!(messages("crates/a/src/b.rs", "//! A.\nfn {\n").len(), 1);
    }
}
