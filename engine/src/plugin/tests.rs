use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::json;
use tonic::Code;

use super::proto;
use super::testing::{TestHost, data, request, status};
use crate::logical::{
    Backend, BackendType, Data, Host, LogicalError, Operation, Request, Response, SpecialPaths,
    StorageEntry,
};

/// A backend that keeps what is written, and says what is odd.
struct Echo(Host);

const ECHO: BackendType = BackendType {
    name: "echo",
    version: "v1.2.3",
    special_paths: SpecialPaths {
        root: &["root/*"],
        local_storage: &["local/"],
        seal_wrap_storage: &["sealed/"],
    },
    make: |host| Arc::new(Echo(host)),
};

impl Backend for Echo {
    fn handle(
        self: Arc<Self>,
        request: Request,
    ) -> BoxFuture<'static, Result<Option<Response>, LogicalError>> {
        Box::pin(async move {
            let storage = &self.0.storage;
            match request.operation {
                Operation::Read => {
                    let value = storage.get(&request.path).await?;
                    let value = value.map(|value| String::from_utf8(value).unwrap());
                    Ok(value.map(|value| {
                        Response::of([("value".to_owned(), json!(value))].into_iter().collect())
                    }))
                }
                Operation::Update => {
                    let value = serde_json::to_vec(&request.data).unwrap();
                    let entry = StorageEntry { key: request.path, value, seal_wrap: true };
                    storage.put(entry).await?;
                    Ok(None)
                }
                Operation::List => Ok(Some(Response::list(storage.list(&request.path).await?))),
                Operation::Delete => {
                    storage.delete(&request.path).await?;
                    Ok(Some(Response::of(Data::new()).warn("gone")))
                }
                Operation::Other(name) => Err(LogicalError::status(418, name)),
                Operation::Help => Err(LogicalError::UnsupportedPath),
                Operation::Rollback => Err(LogicalError::invalid("why?")),
                _ => Err(LogicalError::UnsupportedOperation),
            }
        })
    }

    fn exists(
        self: Arc<Self>,
        request: Request,
    ) -> BoxFuture<'static, Result<Option<bool>, LogicalError>> {
        Box::pin(async move { Ok(Some(self.0.storage.get(&request.path).await?.is_some())) })
    }

    fn initialize(self: Arc<Self>) -> BoxFuture<'static, Result<(), LogicalError>> {
        Box::pin(async { Ok(()) })
    }

    fn invalidate(&self, _: &str) {}

    fn cleanup(self: Arc<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_reads_and_writes_what_the_host_keeps() {
    let host = TestHost::start(ECHO).await;
    assert_eq!(host.set_up("mount").await, "");
    let reply = host.ask("read", "a", "").await;
    assert!(reply.err.is_none() && reply.response.is_none());
    assert_eq!(status(&host.ask("update", "a/b", r#"{"x":1}"#).await), 200);
    assert_eq!(data(&host.ask("read", "a/b", "null").await), json!({"value": r#"{"x":1}"#}));
    assert_eq!(data(&host.ask("list", "a/", "{}").await), json!({"keys": ["b"]}));
    let reply = host.ask("delete", "a/b", "").await;
    assert_eq!(reply.response.unwrap().warnings, ["gone"]);
    assert_eq!(data(&host.ask("list", "a/", "{}").await), json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_that_hosts_know() {
    let host = TestHost::start(ECHO).await;
    assert_eq!(host.set_up("mount").await, "");
    for (operation, err_type, err_code) in
        [("renew", 5, 0), ("help", 6, 0), ("rollback", 7, 0), ("no such thing", 3, 418)]
    {
        let reply = host.ask(operation, "", "{}").await;
        let error = reply.err.clone().unwrap();
        assert_eq!((error.err_type, error.err_code), (err_type, err_code), "{operation}");
        if err_type == 7 {
            assert_eq!(data(&reply), json!({"error": "why?"}));
        }
    }
    host.state.is_read_only.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = host.ask("update", "a", "{}").await.err.unwrap();
    assert_eq!((error.err_type, &*error.err_msg), (0, "cannot write to readonly storage"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_should_not_send_is_an_error() {
    let host = TestHost::start(ECHO).await;
    // Before it is set up, and under a name that nobody has.
    let error = host.handle("mount", request("read", "a", b"{}")).await.err().unwrap();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(host.set_up("mount").await, "");
    assert_eq!(host.set_up("mount").await, "this mount is set up already");
    let error = host.handle("other", request("read", "a", b"{}")).await.err().unwrap();
    assert_eq!(error.code(), Code::FailedPrecondition);
    // Without a name.
    let args = proto::HandleRequestArgs { request: Some(request("read", "a", b"{}")) };
    let error = host.backend().handle_request(args).await.err().unwrap();
    assert_eq!(error.code(), Code::InvalidArgument);
    // Without a request, and with data that is none.
    let args = proto::HandleRequestArgs { request: None };
    let reply = host.backend().handle_request(TestHost::call("mount", args)).await.unwrap();
    assert_eq!(status(reply.get_ref()), 400);
    for data in ["[]", "1", "{", "\"", "{\"a\":\u{0}}", "\u{feff}{}"] {
        assert_eq!(status(&host.ask("read", "a", data).await), 400, "{data}");
    }
    let reply = host.handle("mount", request("read", "a", b"{\"a\":\"\xff\"}")).await.unwrap();
    assert_eq!(status(&reply), 400);
    let deep = "[".repeat(30_000);
    assert_eq!(status(&host.ask("read", "a", &format!("{{\"a\":{deep}")).await), 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_any_size_is_refused_in_words() {
    let host = TestHost::start(ECHO).await;
    assert_eq!(host.set_up("mount").await, "");
    for length in [65_537, 8 << 20, 100 << 20] {
        let data = vec![b'x'; length];
        let reply = host.handle("mount", request("update", "a", &data)).await.unwrap();
        assert_eq!(status(&reply), 413, "{length}");
    }
    assert_eq!(status(&host.ask("update", "a", "{}").await), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_come_and_go() {
    let host = TestHost::start(ECHO).await;
    for mount in ["one", "two"] {
        assert_eq!(host.set_up(mount).await, "");
    }
    let clean_up = || async {
        host.backend().cleanup(TestHost::call("one", proto::Empty {})).await.unwrap();
    };
    clean_up().await;
    clean_up().await;
    let error = host.handle("one", request("read", "a", b"{}")).await.err().unwrap();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert!(host.handle("two", request("read", "a", b"{}")).await.is_ok());
    assert_eq!(host.set_up("one").await, "");
    assert!(host.handle("one", request("read", "a", b"{}")).await.is_ok());
    let checked = proto::HandleExistenceCheckArgs { request: Some(request("create", "a", b"")) };
    let found = host.backend().handle_existence_check(TestHost::call("two", checked)).await;
    let found = found.unwrap().into_inner();
    assert!(found.check_found && !found.exists && found.err.is_none());
    let paths = host.backend().special_paths(proto::Empty {}).await.unwrap().into_inner();
    assert_eq!(paths.paths.unwrap().root, ["root/*"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_goes_while_it_is_set_up_is_gone() {
    let host = TestHost::start(ECHO).await;
    let set_up = |broker_id| {
        let (mut backend, args) = (host.backend(), proto::SetupArgs { broker_id });
        let call = TestHost::call("mount", args);
        tokio::spawn(async move { backend.setup(call).await.unwrap().into_inner().err })
    };
    let clean_up = || async {
        host.backend().cleanup(TestHost::call("mount", proto::Empty {})).await.unwrap();
    };
    // The host does not tell yet where it serves, so that this one goes on.
    let setting_up = loop {
        let setting_up = set_up(999);
        if !host.set_up("mount").await.is_empty() {
            break setting_up;
        }
        clean_up().await;
    };
    clean_up().await;
    assert_eq!(host.set_up("mount").await, "");
    host.announce(999);
    assert_ne!(setting_up.await.unwrap(), "");
    assert!(host.handle("mount", request("read", "a", b"{}")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_does_not_tell_where_it_serves_is_an_error() {
    let host = TestHost::start(ECHO).await;
    let args = proto::SetupArgs { broker_id: 999 };
    let reply = host.backend().setup(TestHost::call("mount", args)).await.unwrap().into_inner();
    assert!(reply.err.contains("did not tell"), "{}", reply.err);
    assert_eq!(host.set_up("mount").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_services_answer() {
    use super::proto::grpc_controller_client::GrpcControllerClient;
    use super::proto::grpc_stdio_client::GrpcStdioClient;
    use super::proto::health_client::HealthClient;
    use super::proto::plugin_multiplexing_client::PluginMultiplexingClient;
    use super::proto::plugin_version_client::PluginVersionClient;

    let host = TestHost::start(ECHO).await;
    let channel = || host.channel.clone();
    let health = proto::HealthCheckRequest { service: "plugin".to_owned() };
    let reply = HealthClient::new(channel()).check(health).await.unwrap();
    assert_eq!(reply.get_ref().status, 1);
    let reply = PluginVersionClient::new(channel()).version(proto::Empty {}).await.unwrap();
    assert_eq!(reply.get_ref().plugin_version, "v1.2.3");
    let mut multiplexing = PluginMultiplexingClient::new(channel());
    let reply = multiplexing.multiplexing_support(proto::Empty {}).await.unwrap();
    assert!(reply.get_ref().supported);
    assert!(GrpcStdioClient::new(channel()).stream_stdio(proto::Empty {}).await.is_ok());
    assert!(GrpcControllerClient::new(channel()).shutdown(proto::Empty {}).await.is_ok());
}
