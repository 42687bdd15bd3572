//! Which file uses which, by the paths in the code.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The files of a crate and what they use of each other.
pub struct Tree {
    files: Vec<String>,
    uses: Vec<Use>,
}

/// One path in one file, and the file with what it names.
pub struct Use {
    pub file: String,
    pub line: usize,
    pub target: String,
    pub path: String,
}

/// A path as it is written, from the crate's root.
struct Written {
    file: String,
    line: usize,
    path: Vec<String>,
    /// The module that hands it on under this name by `pub use`.
    handed_on: Option<(Vec<String>, String)>,
}

struct Reader<'a> {
    file: &'a str,
    /// The modules of the crate: their paths, and the file that each is in.
    modules: &'a BTreeMap<Vec<String>, String>,
    written: Vec<Written>,
}

impl Tree {
    /// Reads the files of a crate, by their names from the repository's root. The root module is the
    /// `lib.rs` whose name is shortest.
    pub fn of(sources: &BTreeMap<String, String>) -> Self {
        let root = sources.keys().filter(|file| file.ends_with("lib.rs")).min_by_key(|f| f.len());
        let root = root.and_then(|file| file.strip_suffix("lib.rs")).unwrap_or_default();
        let modules: BTreeMap<Vec<String>, String> =
            sources.keys().map(|file| (module_of(root, file), file.clone())).collect();
        let mut written = Vec::new();
        for (file, source) in sources {
            let tokens = source.parse::<TokenStream>().expect(file);
            let mut reader = Reader { file, modules: &modules, written: Vec::new() };
            reader.read(tokens, &module_of(root, file));
            written.append(&mut reader.written);
        }
        let handed_on: BTreeMap<_, _> = written
            .iter()
            .filter_map(|one| Some((one.handed_on.clone()?, one.path.clone())))
            .collect();
        let uses = written.iter().filter_map(|one| {
            let target = resolve(&one.path, &modules, &handed_on, 0)?;
            let path = one.path.join("::");
            Some(Use { file: one.file.clone(), line: one.line, target, path })
        });
        Self { files: sources.keys().cloned().collect(), uses: uses.collect() }
    }

    pub fn files(&self) -> &[String] {
        &self.files
    }

    pub fn uses(&self) -> &[Use] {
        &self.uses
    }
}

/// `["vault", "token"]` for `src/vault/token/mod.rs` and for `src/vault/token.rs`.
fn module_of(root: &str, file: &str) -> Vec<String> {
    let path = file.strip_prefix(root).unwrap_or(file).trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

/// The file that has what a path names: that of the deepest module on the way, or of what this
/// module hands on.
fn resolve(
    path: &[String],
    modules: &BTreeMap<Vec<String>, String>,
    handed_on: &BTreeMap<(Vec<String>, String), Vec<String>>,
    depth: usize,
) -> Option<String> {
    let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(length);
    let [name, below @ ..] = rest else { return modules.get(module).cloned() };
    match handed_on.get(&(module.to_vec(), name.clone())) {
        Some(target) if depth < 10 => {
            let target: Vec<String> = target.iter().chain(below).cloned().collect();
            resolve(&target, modules, handed_on, depth + 1)
        }
        _ => modules.get(module).cloned(),
    }
}

impl Reader<'_> {
    /// Reads the code of a module that lies in this file.
    fn read(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(ident) if ident == "use" => {
                    let is_public = at > 0 && {
                        let before = &tokens[at - 1];
                        matches!(before, TokenTree::Ident(ident) if ident == "pub")
                            || matches!(before, TokenTree::Group(group)
                                if group.delimiter() == Delimiter::Parenthesis)
                    };
                    at = self.read_use(&tokens, at + 1, module, &[], is_public);
                }
                TokenTree::Ident(ident) if ident == "mod" => match &tokens[at + 1..] {
                    [TokenTree::Ident(name), TokenTree::Group(group), ..] => {
                        let inner: Vec<_> =
                            module.iter().cloned().chain([name.to_string()]).collect();
                        self.read(group.stream(), &inner);
                        at += 3;
                    }
                    _ => at += 1,
                },
                TokenTree::Ident(ident)
                    if matches!(&*ident.to_string(), "crate" | "super" | "self")
                        && is_separator(&tokens, at + 1) =>
                {
                    at = self.read_path(&tokens, at, module);
                }
                TokenTree::Group(group) => {
                    self.read(group.stream(), module);
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    /// Reads a path that stands in the code; returns where it ends.
    fn read_path(&mut self, tokens: &[TokenTree], mut at: usize, module: &[String]) -> usize {
        let line = tokens[at].span().start().line;
        let mut path = Vec::new();
        loop {
            path.push(tokens[at].to_string());
            let has_more = is_separator(tokens, at + 1)
                && matches!(tokens.get(at + 3), Some(TokenTree::Ident(_)));
            if !has_more {
                break;
            }
            at += 3;
        }
        self.note(line, &path, module, None);
        at + 1
    }

    /// Reads what follows `use`, or what is in braces there; returns where it ends.
    fn read_use(
        &mut self,
        tokens: &[TokenTree],
        mut at: usize,
        module: &[String],
        prefix: &[String],
        is_public: bool,
    ) -> usize {
        let mut path = prefix.to_vec();
        let mut name = None;
        let mut line = None;
        let finish = |reader: &mut Self, path: &mut Vec<String>, name: Option<String>, line| {
            if let Some(line) = line
                && path.len() > prefix.len()
            {
                if path.last().is_some_and(|last| last == "self") {
                    path.pop();
                }
                let name = name.or_else(|| path.last().cloned());
                let handed_on = name.filter(|_| is_public).map(|name| (module.to_vec(), name));
                reader.note(line, path, module, handed_on);
            }
            path.truncate(prefix.len());
        };
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(ident) if ident == "as" => {
                    name = tokens.get(at + 1).map(ToString::to_string);
                    at += 1;
                }
                TokenTree::Ident(ident) => {
                    line = Some(ident.span().start().line);
                    path.push(ident.to_string());
                }
                TokenTree::Group(group) => {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    self.read_use(&inner, 0, module, &path, is_public);
                    path.truncate(prefix.len());
                    line = None;
                }
                TokenTree::Punct(punct) if punct.as_char() == ',' => {
                    finish(self, &mut path, name.take(), line.take());
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                _ => {}
            }
            at += 1;
        }
        finish(self, &mut path, name, line);
        at + 1
    }

    /// Keeps a path of this crate; those of others are passed over.
    fn note(
        &mut self,
        line: usize,
        path: &[String],
        module: &[String],
        handed_on: Option<(Vec<String>, String)>,
    ) {
        let mut full = module.to_vec();
        let mut rest = path;
        match path.first().map(String::as_str) {
            Some("crate") => {
                full.clear();
                rest = &path[1..];
            }
            Some("self") => rest = &path[1..],
            Some("super") => {
                while let [first, below @ ..] = rest
                    && first == "super"
                {
                    full.pop();
                    rest = below;
                }
            }
            // The first name is that of a module in this one, or of another crate.
            Some(first) => {
                full.push(first.to_owned());
                if !self.modules.contains_key(&full) {
                    return;
                }
                rest = &path[1..];
            }
            None => return,
        }
        full.extend(rest.iter().cloned());
        let file = self.file.to_owned();
        self.written.push(Written { file, line, path: full, handed_on });
    }
}

fn is_colon(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ':')
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    tokens.get(at).is_some_and(is_colon) && tokens.get(at + 1).is_some_and(is_colon)
}
