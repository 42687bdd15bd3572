//! The messages and services of `proto/plugin.proto`.

include!(concat!(env!("OUT_DIR"), "/pb.rs"));
