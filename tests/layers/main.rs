//! The layers of the core: no file uses one of a higher layer, folders side by side do not use each
//! other, and no files use each other in a circle.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

mod paths;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use paths::{Tree, Use};

/// From the ground up: what lies in `src/`, files and folders alike. What a line has side by side
/// must not use each other, except on the ground, where no circle is enough.
const LAYERS: &[&[&str]] = &[
    &[
        "credential",
        "file",
        "fuzz",
        "memory",
        "metrics",
        "notice",
        "process",
        "random",
        "retry",
        "sync",
        "text",
        "token_hash",
        "user_id",
    ],
    &["http"],
    &["vault", "homeserver"],
    &["login", "provisioning"],
    &["settings"],
    &["lib", "fuzz_targets"],
];

/// The name in [`LAYERS`] that a file of `src/` belongs to, such as `vault` for
/// `src/vault/token/lease.rs`.
fn member(file: &str) -> &str {
    let below = file.strip_prefix("src/").unwrap_or(file);
    let first = below.split('/').next().unwrap_or(below);
    first.strip_suffix(".rs").unwrap_or(first)
}

/// What is wrong with the layers of a tree, a line each, with the place that is to be changed.
fn broken_layers(tree: &Tree) -> Vec<String> {
    let layer_of = |file: &str| LAYERS.iter().position(|layer| layer.contains(&member(file)));
    let mut broken = Vec::new();
    for file in tree.files() {
        if layer_of(file).is_none() {
            broken.push(format!("{file}: has no layer; give it one in tests/layers/main.rs"));
        }
    }
    for Use { file, line, target, path } in tree.uses() {
        let (from, to) = (member(file), member(target));
        let is_upward = layer_of(file) < layer_of(target);
        let is_sideways = layer_of(file) == layer_of(target) && layer_of(file) != Some(0);
        if from != to && (is_upward || is_sideways) {
            broken.push(format!("{file}:{line}: {path} is of {target}, which {from} must not use"));
        }
    }
    broken
}

/// Files that use each other in a circle, a line for each use that is part of one.
fn circles(tree: &Tree) -> Vec<String> {
    let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for used in tree.uses() {
        graph.entry(&used.file).or_default().insert(&used.target);
    }
    let reaches = |from: &str, to: &str| {
        let mut seen = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            if file == to {
                return true;
            }
            if seen.insert(file) {
                next.extend(graph.get(file).into_iter().flatten());
            }
        }
        false
    };
    tree.uses()
        .iter()
        .filter(|used| used.file != used.target && reaches(&used.target, &used.file))
        .map(|Use { file, line, target, path }| {
            format!("{file}:{line}: {path} is of {target}, which uses {file} in its turn")
        })
        .collect()
}

/// The Rust files below a folder, without those of folders that are crates of their own.
fn sources(folder: &str) -> BTreeMap<String, String> {
    fn collect(folder: &Path, name: &str, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{name}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() && !path.join("Cargo.toml").exists() {
                collect(&path, &name, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), folder, &mut found);
    found
}

#[test]
fn no_file_of_the_core_uses_one_of_a_higher_layer() {
    let broken = broken_layers(&Tree::of(&sources("src")));
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    for crate_root in ["engine/src", "src", "src/python"] {
        let circles = circles(&Tree::of(&sources(crate_root)));
        assert!(circles.is_empty(), "\n{}", circles.join("\n"));
    }
}

/// A small tree in which nothing is wrong, with one file changed.
fn tree_with(file: &str, content: &str) -> Tree {
    let mut sources: BTreeMap<String, String> = [
        ("src/lib.rs", "pub mod http; pub mod login; pub mod text; pub mod vault;"),
        ("src/text.rs", "pub fn quote() {}"),
        ("src/http/mod.rs", "mod client; pub use client::Client;"),
        ("src/http/client.rs", "pub struct Client;\nuse crate::text::quote;"),
        ("src/vault/mod.rs", "mod cluster; pub use cluster::{Cluster as Nodes, Role};"),
        ("src/vault/cluster.rs", "pub struct Cluster; pub enum Role {}\nuse crate::http;"),
        ("src/login/mod.rs", "mod lookup;"),
        ("src/login/lookup.rs", "use crate::{text, vault::{Nodes, Role}};"),
    ]
    .map(|(file, content)| (file.to_owned(), content.to_owned()))
    .into();
    sources.insert(file.to_owned(), content.to_owned());
    Tree::of(&sources)
}

#[test]
fn a_line_that_breaks_the_layers_is_named() {
    let fine = tree_with("src/text.rs", "");
    assert_eq!(broken_layers(&fine), Vec::<String>::new());
    assert_eq!(circles(&fine), Vec::<String>::new());
    for content in [
        "\nuse crate::vault::Role;",
        "\nuse crate::{vault::{self, Role}};",
        "\nfn f() { let _: crate::vault::Role; }",
        "\nfn f() { matches!(x, super::vault::Role::A) }",
        "\nmod tests { fn f() { super::super::vault::Role } }",
        "\npub use super::vault::Nodes as Others;",
    ] {
        let broken = broken_layers(&tree_with("src/text.rs", content));
        assert!(broken.len() == 1 || content.contains("self"), "{content}: {broken:?}");
        assert!(broken.iter().any(|line| line.starts_with("src/text.rs:2: ")), "{broken:?}");
        assert!(broken.iter().any(|line| line.contains("src/vault/cluster.rs")), "{broken:?}");
    }
    let sideways = tree_with("src/homeserver.rs", "use crate::vault::Role;");
    assert_eq!(broken_layers(&sideways).len(), 1);
    let unknown = tree_with("src/helpers.rs", "");
    assert_eq!(broken_layers(&unknown).len(), 1);
}

#[test]
fn a_circle_is_named_through_names_that_are_handed_on() {
    let tree = Tree::of(&BTreeMap::from(
        [
            ("src/lib.rs", "mod http;"),
            ("src/http/mod.rs", "mod client; mod pool; pub use client::Client;"),
            ("src/http/client.rs", "pub struct Client;\nuse super::pool::Pool;"),
            ("src/http/pool.rs", "pub struct Pool;\nfn f(_: super::Client) {}"),
        ]
        .map(|(file, content)| (file.to_owned(), content.to_owned())),
    ));
    assert_eq!(circles(&tree).len(), 2, "{:?}", circles(&tree));
}

#[test]
fn comments_and_texts_are_no_uses() {
    let content = "/// See [`crate::vault::Role`].\nconst A: &str = \"crate::vault::Role\";";
    assert!(broken_layers(&tree_with("src/text.rs", content)).is_empty());
}
