//! That every public item of a published package has a doc comment with an example.
//!
//! Types, traits, free functions and exported macros need one of their own; methods and constants are covered by their type.
//! What is hidden from the docs is none.

use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Visibility};

use crate::Result;
use crate::run::root;
use crate::workspace::Workspace;

pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut examined = Examined::default();
    for package in workspace.published() {
        for file in sources(&package.dir().join("src"))? {
            let text = std::fs::read_to_string(&file)?;
            examined.file = file.strip_prefix(root()).unwrap_or(&file).to_owned();
            examined
                .visit_file(&syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?);
        }
    }
    println!("{} public items", examined.items);
    match examined.without_example.as_slice() {
        [] if examined.items > 0 => Ok(()),
        [] => Err("no public item was found".into()),
        without => Err(format!("without an example:\n{}", without.join("\n")).into()),
    }
}

fn sources(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(sources(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[derive(Default)]
struct Examined {
    file: PathBuf,
    items: usize,
    without_example: Vec<String>,
}

impl Examined {
    fn item(&mut self, name: &syn::Ident, attributes: &[Attribute]) {
        if is_hidden(attributes) {
            return;
        }
        self.items += 1;
        if !doc(attributes).contains("```") {
            let line = name.span().start().line;
            self.without_example.push(format!("{}:{line}: {name}", self.file.display()));
        }
    }
}

impl<'ast> Visit<'ast> for Examined {
    fn visit_item(&mut self, item: &'ast Item) {
        // `pub` means reachable: what is not is `pub(crate)`, which rustc itself watches over.
        let public = |visibility: &Visibility| matches!(visibility, Visibility::Public(_));
        match item {
            Item::Struct(i) if public(&i.vis) => self.item(&i.ident, &i.attrs),
            Item::Enum(i) if public(&i.vis) => self.item(&i.ident, &i.attrs),
            Item::Union(i) if public(&i.vis) => self.item(&i.ident, &i.attrs),
            Item::Type(i) if public(&i.vis) => self.item(&i.ident, &i.attrs),
            Item::Trait(i) if public(&i.vis) => self.item(&i.ident, &i.attrs),
            Item::Fn(i) if public(&i.vis) => self.item(&i.sig.ident, &i.attrs),
            Item::Macro(i) if i.attrs.iter().any(|a| a.path().is_ident("macro_export")) => {
                if let Some(name) = &i.ident {
                    self.item(name, &i.attrs);
                }
            }
            // A private module of a file seals what is in it; one that is a file of its own is looked at by itself.
            Item::Mod(module) if public(&module.vis) => syn::visit::visit_item_mod(self, module),
            _ => {}
        }
    }

    fn visit_impl_item(&mut self, _: &'ast ImplItem) {}
}

fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) => list.path.is_ident("doc") && list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// The doc comment; where it is another file's text, the compiler runs that file's examples.
fn doc(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        if !pair.path.is_ident("doc") {
            continue;
        }
        if let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value {
            text.push_str(&line.value());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_example(source: &str) -> Vec<String> {
        let mut examined = Examined::default();
        examined.visit_file(&syn::parse_file(source).expect("it is Rust"));
        examined.without_example
    }

    #[test]
    fn public_items_need_an_example() {
        let bare = "/// A.\npub struct A; pub enum B {} /// T.\npub trait T {} pub fn f() {} pub type X = A;";
        assert_eq!(without_example(bare).len(), 5);
        assert_eq!(without_example("#[macro_export] macro_rules! m { () => {} }").len(), 1);
        assert_eq!(without_example("pub mod m { pub struct A; }").len(), 1);
    }

    #[test]
    fn examples_privacy_and_hiding_are_seen() {
        let fine = "/// A.\n///\n/// ```\n/// let a = 1;\n/// ```\npub struct A; struct B; pub(crate) fn f() {} \
                    #[doc(hidden)] pub fn g() {} #[cfg(test)] mod tests { pub struct C; } mod sealed { pub trait S {} } impl A { pub fn new() {} }";
        assert_eq!(without_example(fine), Vec::<String>::new());
    }
}
