//! The engine, asked as a host asks it.

mod answers;
mod clock;
mod cluster;
mod deadlines;
mod leases;
mod leftovers;
mod load;
mod paths;
mod pending;
mod site;
mod static_sessions;
mod steps;
mod users;
