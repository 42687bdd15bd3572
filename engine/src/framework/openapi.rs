//! Paths as a document of `OpenAPI` 3.0, out of which the host makes its own for all mounts:
//! <https://openbao.org/api-docs/system/internal-specs-openapi/>.

use serde_json::{Map, Value, json};

use super::field::{Field, FieldKind};
use super::path::Path;
use crate::logical::Operation;

/// The document of some paths. `prefix` begins the names of operations and bodies.
pub fn document<S>(paths: &[&Path<S>], prefix: &str) -> Value {
    let mut items = Map::new();
    let mut schemas = Map::new();
    for path in paths {
        let item = path_item(path, prefix, &mut schemas);
        items.insert(path.pattern.open_api_path(), item);
    }
    json!({
        "openapi": "3.0.2",
        "info": {
            "title": "Matrix secrets engine",
            "description": "Matrix access tokens as leases.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "paths": items,
        "components": { "schemas": schemas },
    })
}

fn path_item<S>(path: &Path<S>, prefix: &str, schemas: &mut Map<String, Value>) -> Value {
    let mut item = Map::new();
    item.insert("description".to_owned(), path.synopsis.into());
    let in_path = path.fields.iter().filter(|field| path.captures(field.name));
    let parameters: Vec<Value> = in_path.map(path_parameter).collect();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), parameters.into());
    }
    if path.is_root {
        item.insert("x-vault-sudo".to_owned(), true.into());
    }
    let has = |operation| path.operations.iter().any(|known| known.operation == operation);
    for known in path.operations {
        let method = match known.operation {
            Operation::Read | Operation::List => "get",
            // A path that takes both has one operation in the document.
            Operation::Create if has(Operation::Update) => {
                item.insert("x-vault-createSupported".to_owned(), true.into());
                continue;
            }
            Operation::Create | Operation::Update => "post",
            Operation::Delete => "delete",
            _ => continue,
        };
        if known.operation == Operation::List && has(Operation::Read) {
            continue;
        }
        let id = operation_id(prefix, path, &known.operation);
        let mut operation = Map::new();
        operation.insert("summary".to_owned(), known.summary.into());
        operation.insert("operationId".to_owned(), id.clone().into());
        operation.insert("tags".to_owned(), json!(["secrets"]));
        match known.operation {
            Operation::List => {
                operation.insert("parameters".to_owned(), json!([list_parameter()]));
            }
            Operation::Create | Operation::Update => {
                let name = format!("{}Request", title_case(&id));
                if let Some(schema) = body_schema(path) {
                    schemas.insert(name.clone(), schema);
                    operation.insert("requestBody".to_owned(), request_body(&name));
                }
            }
            _ => {}
        }
        operation.insert("responses".to_owned(), responses(&known.operation));
        item.insert(method.to_owned(), operation.into());
    }
    item.into()
}

fn path_parameter(field: &Field) -> Value {
    json!({
        "name": field.name,
        "description": field.description,
        "in": "path",
        "schema": { "type": field.kind.open_api_type().0 },
        "required": true,
    })
}

fn list_parameter() -> Value {
    json!({
        "name": "list",
        "description": "Must be set to `true`",
        "required": true,
        "in": "query",
        "schema": { "type": "string", "enum": ["true"] },
    })
}

/// The body of a write, if it has fields.
fn body_schema<S>(path: &Path<S>) -> Option<Value> {
    let mut properties = Map::new();
    for field in path.fields.iter().filter(|field| !path.captures(field.name)) {
        let (kind, format) = field.kind.open_api_type();
        let mut property = Map::new();
        property.insert("type".to_owned(), kind.into());
        property.insert("description".to_owned(), field.description.into());
        if let Some(format) = format {
            property.insert("format".to_owned(), format.into());
        }
        if field.is_deprecated {
            property.insert("deprecated".to_owned(), true.into());
        }
        if field.kind == FieldKind::Secret {
            property.insert("x-vault-displayAttrs".to_owned(), json!({ "sensitive": true }));
        }
        properties.insert(field.name.to_owned(), property.into());
    }
    if properties.is_empty() {
        return None;
    }
    Some(json!({ "type": "object", "properties": properties }))
}

fn request_body(name: &str) -> Value {
    let reference = format!("#/components/schemas/{name}");
    json!({
        "required": true,
        "content": { "application/json": { "schema": { "$ref": reference } } },
    })
}

fn responses(operation: &Operation) -> Value {
    match operation {
        Operation::Delete => json!({ "204": { "description": "empty body" } }),
        _ => json!({ "200": { "description": "OK" } }),
    }
}

/// Such as `matrix-write-config-user`.
fn operation_id<S>(prefix: &str, path: &Path<S>, operation: &Operation) -> String {
    let verb = match operation {
        Operation::Create | Operation::Update => "write",
        Operation::Delete => "delete",
        Operation::List => "list",
        _ => "read",
    };
    let place = path.pattern.prefix.split('/').filter(|part| !part.is_empty());
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    prefix.into_iter().chain([verb]).chain(place).collect::<Vec<_>>().join("-")
}

/// `MatrixWriteConfigUser` for `matrix-write-config-user`.
fn title_case(id: &str) -> String {
    let words = id.split(|c: char| !c.is_ascii_alphanumeric());
    words
        .filter_map(|word| {
            let mut letters = word.chars();
            let first = letters.next()?.to_ascii_uppercase();
            Some(std::iter::once(first).chain(letters).collect::<String>())
        })
        .collect()
}
