package apifake

import (
	"fmt"
	"syscall"
)

// Gone is a server that nobody listens for: a connection to it is refused.
func Gone() *Server {
	s := Start()
	s.Close()
	s.URL = "https://" + RefusingAddress()
	return s
}

// RefusingAddress is an address at which a connection is refused for as long as the process runs. The port of a server
// that was closed is not one: the next server may get it.
func RefusingAddress() string {
	// bound, and never listened at
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		panic("apifake: no port can be kept: " + err.Error())
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		panic("apifake: the port that is kept is not known: " + err.Error())
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}
