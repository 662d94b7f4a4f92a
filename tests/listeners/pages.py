def unbound():
    return 'server:\n    do-not-query-localhost: no\n    domain-insecure: "rep.example.net"\nstub-zone:\n    name: "rep.example.net"\n    stub-addr: 127.0.0.1@5300\n'
def check_blocks(l): return []
def check_codes(l): return []
def check_waits(l): return [(str(l),True,'')]
