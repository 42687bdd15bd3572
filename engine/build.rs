//! Makes Rust of `proto/plugin.proto`, without `protoc`.

use std::error::Error;

use prost_build::{Service, ServiceGenerator};

/// The packages of the services that are not `pb`, which is that of the file. The wire knows a
/// service by its package, and a message not at all.
const PACKAGES: [(&str, &str); 6] = [
    ("GRPCBroker", "plugin"),
    ("GRPCController", "plugin"),
    ("GRPCStdio", "plugin"),
    ("PluginVersion", "logical"),
    ("PluginMultiplexing", "pluginutil.multiplexing"),
    ("Health", "grpc.health.v1"),
];

/// Puts each service into its package.
struct InItsPackage(Box<dyn ServiceGenerator>);

impl ServiceGenerator for InItsPackage {
    fn generate(&mut self, mut service: Service, code: &mut String) {
        if let Some((_, package)) = PACKAGES.iter().find(|(name, _)| *name == service.proto_name) {
            (*package).clone_into(&mut service.package);
        }
        self.0.generate(service, code);
    }

    fn finalize(&mut self, code: &mut String) {
        self.0.finalize(code);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(["proto/plugin.proto"], ["proto"])?;
    let services = tonic_prost_build::configure().service_generator();
    let mut config = prost_build::Config::new();
    // Messages may hold secrets, so none of them has a `Debug` that shows what it holds.
    config.service_generator(Box::new(InItsPackage(services))).skip_debug(["."]).bytes(["."]);
    config.compile_fds(files)?;
    Ok(())
}
