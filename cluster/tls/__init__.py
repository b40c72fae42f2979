"""TLS: which certificates and keys are used, and what is wrong with them.

The node checks its flags and files with these modules before it starts, its front serves with them,
and the client connects with them. Nothing here opens a connection.

    options.py      etcd's flags of TLS, checked
    versions.py     etcd's names of TLS versions and cipher suites
    loading.py      files of certificates and keys, and what is wrong with them
    serving.py      what a server of TLS needs, made from its files
    files.py        the files of a client, as they were given
    asking.py       what a client of TLS needs, made from its files
    self_signed.py  `--auto-tls`: a certificate that the node makes for itself
    words.py        what OpenSSL says of a failed handshake, in the words of etcd's log
"""
