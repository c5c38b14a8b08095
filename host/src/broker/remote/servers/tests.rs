use super::read;

#[test]
fn info_is_read_by_whole_names() {
    let server = read(
        "# Server\r\nredis_version:7.0.15\r\nrole:master\r\n# Memory\r\nused_memory:1048576\r\nused_memory_rss:9\r\n\
         maxmemory:2097152\r\nmaxmemory_human:2.00M\r\nmaxmemory_policy:allkeys-lru\r\nevicted_keys:3\r\n\
         aof_enabled:1\r\nrdb_last_bgsave_status:err\r\n",
    );
    assert_eq!((server.product, server.version.as_str()), ("Redis", "7.0.15"));
    assert_eq!((server.maxmemory, server.used_memory), (2_097_152, 1_048_576));
    assert_eq!(server.maxmemory_policy, "allkeys-lru");
    assert_eq!((server.role.as_str(), server.evicted_keys), ("master", 3));
    assert!(server.append_only && server.last_save_failed);
    let valkey = read("redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n");
    assert_eq!((valkey.product, valkey.version.as_str()), ("Valkey", "8.0.1"));
}

#[test]
fn what_an_acl_hides_is_left_open() {
    let server = read("");
    assert_eq!(server.version, "");
    assert_eq!(server.maxmemory, 0);
}
