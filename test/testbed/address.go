package testbed

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Every cluster owns one /16 of loopback, 127.X.0.0/16, for as long as anything of its bed lives:
//
//	127.X.0.0/17    the cluster's service range; 127.X.0.1 is the Service "kubernetes", and the API server listens there
//	127.X.255.0/24  what is not a Service: etcd (of the first cluster), the simulated kubelet
const (
	firstBlock = 101
	lastBlock  = 250
)

// block is one claimed 127.X.0.0/16.
type block struct {
	x    int
	hold *os.File // a socket that the kernel gives to one process at a time; the keeper inherits it
}

// claimBlock takes the lowest free block. The claim is an abstract unix socket: like a loopback address it belongs to
// the network namespace, it is exclusive between users too, and it is free again once no process holds it, however
// the holders ended.
func claimBlock() (*block, error) {
	for x := firstBlock; x <= lastBlock; x++ {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: fmt.Sprintf("@kubectl-xcpauth/testbed/127.%d.0.0",
			x)})
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("claiming 127.%d.0.0/16: %w", x, err)
		}
		hold, err := l.File()
		l.Close()
		if err != nil {
			return nil, fmt.Errorf("claiming 127.%d.0.0/16: %w", x, err)
		}
		return &block{x: x, hold: hold}, nil
	}
	return nil, fmt.Errorf("all of 127.%d.0.0/16 to 127.%d.0.0/16 are in use by other testbeds: stop some",
		firstBlock, lastBlock)
}

func (b *block) release() { b.hold.Close() }

func (b *block) serviceRange() string    { return fmt.Sprintf("127.%d.0.0/17", b.x) }
func (b *block) serviceIP(n int) string  { return fmt.Sprintf("127.%d.%d.%d", b.x, n>>8&0x7f, n&0xff) }
func (b *block) reservedIP(n int) string { return fmt.Sprintf("127.%d.255.%d", b.x, n&0xff) }

// firstFree returns the index of the first port that nothing listens on at ip. The address is ours alone, so only a
// listener on every address (0.0.0.0) can be in the way; whoever starts a server there still has to expect one that
// comes in between.
func firstFree(ip string, ports []int) (int, error) {
	var last error
	for i, port := range ports {
		l, err := net.Listen("tcp4", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err == nil {
			l.Close()
			return i, nil
		}
		last = err
	}
	return 0, fmt.Errorf("no free port left at %s: %w", ip, last)
}
