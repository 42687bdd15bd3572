//! What paths say of themselves, for `bao path-help`.

use std::fmt::Write;

use serde_json::{Value, json};

use super::openapi;
use super::path::Path;
use crate::logical::{Data, Request, Response};

/// The help of the whole backend.
pub fn of_all<S>(help: &str, paths: &[&Path<S>], request: &Request) -> Response {
    let mut text = format!("## DESCRIPTION\n\n{help}\n\n## PATHS\n\n");
    text.push_str("Each of these has a help of its own: put it behind the mount.\n");
    for path in paths {
        let (pattern, synopsis) = (path.pattern.regular_expression(), path.synopsis);
        // Writing into a string never fails.
        let _ = write!(text, "\n    {pattern}\n        {synopsis}\n");
    }
    response(text, openapi::document(paths, prefix(request)))
}

/// The help of one path.
pub fn of_path<S>(path: &Path<S>, request: &Request) -> Response {
    let mut text = format!(
        "Request:        {}\nMatching Route: {}\n\n{}\n\n",
        request.path,
        path.pattern.regular_expression(),
        path.synopsis
    );
    if !path.fields.is_empty() {
        text.push_str("## PARAMETERS\n");
        let mut fields: Vec<_> = path.fields.iter().collect();
        fields.sort_unstable_by_key(|field| field.name);
        for field in fields {
            let deprecated = if field.is_deprecated { " (DEPRECATED)" } else { "" };
            let (name, kind) = (field.name, field.kind.name());
            let _ =
                write!(text, "\n    {name} ({kind}){deprecated}\n        {}\n", field.description);
        }
        text.push('\n');
    }
    let _ = write!(text, "## OPERATIONS\n\n");
    for operation in path.operations {
        let name = format!("{:?}", operation.operation).to_lowercase();
        let _ = writeln!(text, "    {name}: {}", operation.summary);
    }
    let _ = write!(text, "\n## DESCRIPTION\n\n{}\n", path.description);
    response(text, openapi::document(&[path], prefix(request)))
}

/// What the host wants the names of bodies in the document to begin with: the mount's type.
fn prefix(request: &Request) -> &str {
    request.data.get("requestResponsePrefix").and_then(Value::as_str).unwrap_or_default()
}

fn response(text: String, document: Value) -> Response {
    let mut data = Data::new();
    data.insert("help".to_owned(), text.into());
    data.insert("see_also".to_owned(), json!([]));
    data.insert("openapi".to_owned(), document);
    Response::of(data)
}
