// What programs do with etcd's own Go client, a line for each; the lines are the same on every
// server that answers as etcd does. Ids and times are not printed, and revisions are told from the
// first one that this program saw. "kill the leader" asks the one who reads to do so, and the
// program goes on when it gets a line back.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/clientv3/concurrency"
	"go.etcd.io/etcd/clientv3/namespace"
	"go.etcd.io/etcd/clientv3/ordering"
)

const (
	patience  = 240 * time.Second
	dialing   = 5 * time.Second
	leaseTTL  = 60
	oneTry    = 2 * time.Second
	pauseMs   = 50
	manyPuts  = 20
	dialEvery = 10 * time.Second
)

var first int64

func main() {
	endpoints := flag.String("endpoints", "", "comma-separated; with or without http://")
	kills := flag.Bool("kills", false, "ask for a kill of the leader")
	flag.Parse()
	client, err := clientv3.New(clientv3.Config{
		Endpoints:            strings.Split(*endpoints, ","),
		DialTimeout:          dialing,
		DialKeepAliveTime:    dialEvery,
		DialKeepAliveTimeout: dialing,
	})
	check("connect", err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	emptied, err := client.Delete(ctx, "", clientv3.WithFromKey())
	check("empty", err)
	first = emptied.Header.Revision
	puts(ctx, client)
	leases(ctx, client)
	transactions(ctx, client)
	ranges(ctx, client)
	watches(ctx, client)
	recipes(ctx, client)
	wrappers(ctx, client)
	// What follows asks one node: the others may be late with what it tells without the leader.
	all := client.Endpoints()
	client.SetEndpoints(all[len(all)-1])
	failures(ctx, client)
	listing(ctx, client)
	client.SetEndpoints(all...)
	if *kills {
		watchThroughAKill(ctx, client)
	}
	fmt.Println("done")
}

func check(what string, err error) {
	if err != nil {
		fmt.Printf("%s failed: %v\n", what, err)
		os.Exit(1)
	}
}

// since is a revision that two servers agree on.
func since(revision int64) int64 { return revision - first }

func puts(ctx context.Context, client *clientv3.Client) {
	put, err := client.Put(ctx, "/users/user1", "zhangsan")
	check("put", err)
	fmt.Printf("put: revision +%d, previous %v\n", since(put.Header.Revision), put.PrevKv)
	put, err = client.Put(ctx, "/users/user1", "lisi", clientv3.WithPrevKV())
	check("put", err)
	fmt.Printf("put with previous: %s version %d\n", put.PrevKv.Value, put.PrevKv.Version)
	put, err = client.Put(ctx, "/users/user2", "wangwu", clientv3.WithPrevKV())
	check("put", err)
	fmt.Printf("put of a new key: previous %v\n", put.PrevKv)
	put, err = client.Put(ctx, "/users/user2", "", clientv3.WithIgnoreValue())
	check("put", err)
	fmt.Printf("put that keeps the value: revision +%d\n", since(put.Header.Revision))
}

func leases(ctx context.Context, client *clientv3.Client) {
	lease, err := client.Grant(ctx, leaseTTL)
	check("grant", err)
	fmt.Printf("granted for %d s, id %v\n", lease.TTL, lease.ID != 0)
	_, err = client.Put(ctx, "leased", "1", clientv3.WithLease(lease.ID))
	check("put", err)
	left, err := client.TimeToLive(ctx, lease.ID, clientv3.WithAttachedKeys())
	check("time to live", err)
	fmt.Printf("lease of %d s with %s\n", left.GrantedTTL, left.Keys)
	once, err := client.KeepAliveOnce(ctx, lease.ID)
	check("keep alive", err)
	fmt.Printf("kept alive for %d s\n", once.TTL)
	keepAlive(ctx, client)
	_, err = client.Revoke(ctx, lease.ID)
	check("revoke", err)
	got, err := client.Get(ctx, "leased")
	check("get", err)
	fmt.Printf("after the revoke: %d keys\n", got.Count)
	left, err = client.TimeToLive(ctx, lease.ID)
	check("time to live", err)
	fmt.Printf("a revoked lease has %d s\n", left.TTL)
}

// keepAlive hears more renewals than the lease would live through without them.
func keepAlive(ctx context.Context, client *clientv3.Client) {
	const ttl = 2
	short, err := client.Grant(ctx, ttl)
	check("grant", err)
	renewing, stop := context.WithCancel(ctx)
	renewals, err := client.KeepAlive(renewing, short.ID)
	check("keep alive", err)
	heard := 0
	for renewal := range renewals {
		heard++
		if renewal.TTL != ttl {
			fmt.Printf("renewed for %d s\n", renewal.TTL)
		}
		if heard == 5 {
			stop()
			break
		}
	}
	left, err := client.TimeToLive(ctx, short.ID)
	check("time to live", err)
	fmt.Printf("renewed %d times, alive %v\n", heard, left.TTL > 0)
	_, err = client.Revoke(ctx, short.ID)
	check("revoke", err)
	gone, err := client.KeepAlive(ctx, short.ID)
	check("keep alive", err)
	_, open := <-gone
	fmt.Printf("renewals of a revoked lease: %v\n", open)
}

func transactions(ctx context.Context, client *clientv3.Client) {
	done, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision("t"), "=", 0)).
		Then(clientv3.OpPut("t", "made"), clientv3.OpGet("t")).
		Else(clientv3.OpGet("t")).Commit()
	check("txn", err)
	fmt.Printf("txn: %v, %s\n", done.Succeeded, done.Responses[1].GetResponseRange().Kvs[0].Value)
	nested := clientv3.OpTxn(
		[]clientv3.Cmp{clientv3.Compare(clientv3.Version("t"), ">", 0).WithPrefix()},
		[]clientv3.Op{clientv3.OpDelete("t", clientv3.WithPrevKV())}, nil)
	done, err = client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value("t"), "!=", "made")).
		Then(clientv3.OpPut("t", "never")).Else(nested).Commit()
	check("txn", err)
	inner := done.Responses[0].GetResponseTxn()
	fmt.Printf("txn in a txn: %v, %v, deleted %d\n", done.Succeeded, inner.Succeeded,
		inner.Responses[0].GetResponseDeleteRange().Deleted)
	stm, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
		stm.Put("counter", stm.Get("counter")+"1")
		return nil
	})
	check("stm", err)
	fmt.Printf("stm: %v\n", stm.Succeeded)
}

func ranges(ctx context.Context, client *clientv3.Client) {
	for number := 0; number < manyPuts; number++ {
		_, err := client.Put(ctx, fmt.Sprintf("many/%02d", number), strings.Repeat("x", number))
		check("put", err)
	}
	got, err := client.Get(ctx, "many/", clientv3.WithPrefix(), clientv3.WithLimit(3),
		clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithKeysOnly())
	check("get", err)
	fmt.Printf("range: %d of %d, more %v, first %s\n",
		len(got.Kvs), got.Count, got.More, got.Kvs[0].Key)
	count, err := client.Get(ctx, "many/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	check("get", err)
	fmt.Printf("count: %d and %d keys\n", count.Count, len(count.Kvs))
	past, err := client.Get(ctx, "many/05", clientv3.WithRev(got.Header.Revision-10))
	check("get", err)
	fmt.Printf("in the past: %d\n", past.Count)
	deleted, err := client.Delete(ctx, "many/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	check("delete", err)
	fmt.Printf("deleted %d, told %d\n", deleted.Deleted, len(deleted.PrevKvs))
}

func watches(ctx context.Context, client *clientv3.Client) {
	begun, err := client.Put(ctx, "w/1", "a")
	check("put", err)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	all := client.Watch(watching, "w/", clientv3.WithPrefix(), clientv3.WithPrevKV(),
		clientv3.WithRev(begun.Header.Revision), clientv3.WithFragment())
	deletes := client.Watch(watching, "w/", clientv3.WithPrefix(), clientv3.WithFilterPut(),
		clientv3.WithRev(begun.Header.Revision), clientv3.WithCreatedNotify())
	created := <-deletes
	fmt.Printf("created: %v\n", created.Created)
	_, err = client.Put(ctx, "w/1", "b")
	check("put", err)
	_, err = client.Delete(ctx, "w/1")
	check("delete", err)
	for seen := 0; seen < 3; {
		for _, event := range (<-all).Events {
			fmt.Printf("event: %s %s %q, before %v, created %v\n", event.Type, event.Kv.Key,
				event.Kv.Value, event.PrevKv != nil, event.IsCreate())
			seen++
		}
	}
	fmt.Printf("filtered: %s\n", (<-deletes).Events[0].Type)
	check("progress", client.RequestProgress(watching))
	for answer := range all {
		if answer.IsProgressNotify() {
			fmt.Println("progress")
			break
		}
	}
}

func recipes(ctx context.Context, client *clientv3.Client) {
	one, err := concurrency.NewSession(client, concurrency.WithTTL(leaseTTL))
	check("session", err)
	other, err := concurrency.NewSession(client, concurrency.WithTTL(leaseTTL))
	check("session", err)
	mine, others := concurrency.NewMutex(one, "/mutex"), concurrency.NewMutex(other, "/mutex")
	check("lock", mine.Lock(ctx))
	fmt.Printf("locked: %v\n", strings.HasPrefix(mine.Key(), "/mutex/"))
	hurried, stopTrying := context.WithTimeout(ctx, pauseMs*time.Millisecond)
	fmt.Printf("another: %v\n", others.Lock(hurried))
	stopTrying()
	next := make(chan error)
	go func() { next <- others.Lock(ctx) }()
	check("unlock", mine.Unlock(ctx))
	check("lock", <-next)
	fmt.Println("handed over")
	check("unlock", others.Unlock(ctx))
	office, rival := concurrency.NewElection(one, "/office"), concurrency.NewElection(other, "/office")
	check("campaign", office.Campaign(ctx, "one"))
	observing, stop := context.WithCancel(ctx)
	defer stop()
	leaders := rival.Observe(observing)
	fmt.Printf("leads: %s\n", (<-leaders).Kvs[0].Value)
	check("proclaim", office.Proclaim(ctx, "one again"))
	fmt.Printf("leads: %s\n", (<-leaders).Kvs[0].Value)
	go func() { next <- rival.Campaign(ctx, "other") }()
	check("close", one.Close())
	check("campaign", <-next)
	leader, err := rival.Leader(ctx)
	check("leader", err)
	fmt.Printf("leads: %s\n", leader.Kvs[0].Value)
	check("resign", rival.Resign(ctx))
	_, err = rival.Leader(ctx)
	fmt.Printf("nobody: %v\n", err)
	check("close", other.Close())
}

func wrappers(ctx context.Context, client *clientv3.Client) {
	inside := namespace.NewKV(client.KV, "space/")
	_, err := inside.Put(ctx, "k", "v")
	check("put", err)
	there, err := inside.Get(ctx, "k")
	check("get", err)
	whole, err := client.Get(ctx, "space/k")
	check("get", err)
	fmt.Printf("namespace: %s is %s\n", there.Kvs[0].Key, whole.Kvs[0].Key)
	done, err := inside.Txn(ctx).If(clientv3.Compare(clientv3.Value("k"), "=", "v")).
		Then(clientv3.OpDelete("k")).Commit()
	check("txn", err)
	fmt.Printf("namespace txn: %v\n", done.Succeeded)
	ordered := ordering.NewKV(client.KV, ordering.NewOrderViolationSwitchEndpointClosure(client))
	_, err = ordered.Get(ctx, "any")
	check("get", err)
	again, err := ordered.Get(ctx, "any", clientv3.WithSerializable())
	check("get", err)
	fmt.Printf("ordering: %d\n", again.Count)
}

func failures(ctx context.Context, client *clientv3.Client) {
	_, err := client.Put(ctx, "k", "v", clientv3.WithLease(12345))
	fmt.Printf("no lease: %v\n", err)
	_, err = client.Put(ctx, "", "v")
	fmt.Printf("no key: %v\n", err)
	_, err = client.Revoke(ctx, 12345)
	fmt.Printf("no lease: %v\n", err)
	_, err = client.Get(ctx, "k", clientv3.WithRev(1<<40))
	fmt.Printf("the future: %v\n", err)
	now, err := client.Put(ctx, "k", "v")
	check("put", err)
	_, err = client.Compact(ctx, now.Header.Revision)
	check("compact", err)
	_, err = client.Get(ctx, "k", clientv3.WithRev(now.Header.Revision-1))
	fmt.Printf("compacted: %v\n", err)
	ended := <-client.Watch(ctx, "k", clientv3.WithRev(1))
	fmt.Printf("compacted watch: %v, revision +%d, %v\n",
		ended.Canceled, ended.CompactRevision-now.Header.Revision, ended.Err())
	short, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	_, err = client.Get(short, "k")
	fmt.Printf("no time: %v\n", err)
}

func listing(ctx context.Context, client *clientv3.Client) {
	before, err := client.Leases(ctx)
	check("leases", err)
	lease, err := client.Grant(ctx, leaseTTL)
	check("grant", err)
	after, err := client.Leases(ctx)
	check("leases", err)
	fmt.Printf("leases: %d more\n", len(after.Leases)-len(before.Leases))
	_, err = client.Revoke(ctx, lease.ID)
	check("revoke", err)
	members, err := client.MemberList(ctx)
	check("members", err)
	named := 0
	for _, member := range members.Members {
		if member.Name != "" && strings.HasPrefix(member.ClientURLs[0], "http://") {
			named++
		}
	}
	fmt.Printf("members: %d of %d are named and have addresses\n", named, len(members.Members))
	status, err := client.Status(ctx, client.Endpoints()[0])
	check("status", err)
	fmt.Printf("status: version %s, a leader %v, errors %v\n",
		status.Version, status.Leader != 0, status.Errors)
}

// watchThroughAKill sees each of its own puts once and in order, while the leader is killed.
func watchThroughAKill(ctx context.Context, client *clientv3.Client) {
	begun, err := client.Put(ctx, "kept/begin", "")
	check("put", err)
	events := client.Watch(ctx, "kept/", clientv3.WithPrefix(), clientv3.WithRev(begun.Header.Revision))
	lease, err := client.Grant(ctx, leaseTTL)
	check("grant", err)
	fmt.Println("kill the leader")
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	check("go on", err)
	for number := 0; number < manyPuts; number++ {
		putUntilItIsDone(ctx, client, fmt.Sprintf("kept/%02d", number))
	}
	seen := map[string]bool{}
	last := int64(0)
	for !seen[fmt.Sprintf("kept/%02d", manyPuts-1)] {
		answer := <-events
		check("watch", answer.Err())
		for _, event := range answer.Events {
			if event.Kv.ModRevision <= last {
				fmt.Printf("seen again: %s\n", event.Kv.Key)
			}
			last = event.Kv.ModRevision
			seen[string(event.Kv.Key)] = true
		}
	}
	fmt.Printf("through the kill: %d keys\n", len(seen))
	left, err := client.TimeToLive(ctx, lease.ID)
	check("time to live", err)
	fmt.Printf("the lease lives: %v\n", left.TTL > 0)
}

// putUntilItIsDone tries again where an error leaves open whether the put was done.
func putUntilItIsDone(ctx context.Context, client *clientv3.Client, key string) {
	for {
		try, cancel := context.WithTimeout(ctx, oneTry)
		_, err := client.Put(try, key, "v")
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			check("put", err)
		}
		time.Sleep(pauseMs * time.Millisecond)
	}
}
