package kubeconfig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

// ErrCut is the error of an answer that ended before it was complete.
var ErrCut = errors.New("the answer was cut")

// readRetries is how often a read is tried again over another connection, after the one it had was reset.
const readRetries = 2

// smallBuffers and largeBuffers hold answers while they are read: an answer is many times what is left of it. They stay
// from one answer to the next, which those of a sync.Pool do not where memory is collected often. So the large ones are
// few, and are left to the answers that need one: most are small.
var (
	smallBuffers = make(chan *bytes.Buffer, 128)
	largeBuffers = make(chan *bytes.Buffer, 16)
)

// mostSmall is how long a small answer is at most, mostKept how large a buffer is at most that stays.
const (
	mostSmall = 4 << 10
	mostKept  = 1 << 20
)

// buffer takes an empty buffer from a pool, or makes one; end is to be called when nothing of it is used any more.
func buffer(pool chan *bytes.Buffer) (b *bytes.Buffer, end func()) {
	select {
	case b = <-pool:
	default:
		b = bytes.NewBuffer(make([]byte, 0, mostSmall+bytes.MinRead))
	}
	return b, func() {
		if b.Reset(); b.Cap() > mostKept {
			return
		}
		select {
		case pool <- b:
		default:
		}
	}
}

// Read performs a GET, and hands what the API server answered to use, which must not keep it. The error is the API
// server's own, or the connection's; ErrCut where an answer began and did not end.
func Read(ctx context.Context, get *rest.Request, use func(body []byte)) error {
	var err error
	for range readRetries + 1 {
		if err = readOnce(ctx, get, use); err == nil || ctx.Err() != nil || !lost(err) {
			break
		}
	}
	return err
}

// lost says whether the connection ended, as client-go judges it of what it reads in one piece.
func lost(err error) bool {
	return utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) || utilnet.IsHTTP2ConnectionLost(err)
}

func readOnce(ctx context.Context, get *rest.Request, use func(body []byte)) error {
	answer, err := get.Stream(ctx)
	if err != nil {
		return err
	}
	defer answer.Close()
	body, end := buffer(smallBuffers) // not before: most of the time is spent waiting for an answer to begin
	defer end()
	if _, err = body.ReadFrom(io.LimitReader(answer, mostSmall)); err == nil && body.Len() == mostSmall {
		begun := body
		body, end = buffer(largeBuffers)
		defer end()
		body.Write(begun.Bytes())
		_, err = body.ReadFrom(answer)
	}
	switch {
	case err == nil:
		use(body.Bytes())
		return nil
	case ctx.Err() != nil:
		return err
	}
	return fmt.Errorf("%w: %w", ErrCut, err)
}
