package xcpsim

import (
	"context"
	"net"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
)

// The stream between a member and Central: one long-lived bidirectional call. After admitting it Central sends one
// empty message; then the member pushes empty messages and Central answers each. The member names itself in metadata
// of the simulator's own; the credential is the client certificate or the bearer token in "authorization", as in the
// product.
const (
	serviceName = "xcpsim.Central"
	methodName  = "Connect"

	dialKey          = "xcpsim-dial"
	memberKey        = "xcpsim-member"
	podKey           = "xcpsim-pod"
	authorizationKey = "authorization"
)

func serviceDesc(handler func(grpc.ServerStream) error) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{
			StreamName: methodName, ClientStreams: true, ServerStreams: true,
			Handler: func(_ any, stream grpc.ServerStream) error { return handler(stream) },
		}},
	}
}

func openStream(ctx context.Context, conn *grpc.ClientConn, dial int, member, pod,
	bearer string) (grpc.ClientStream, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, dialKey, strconv.Itoa(dial), memberKey, member, podKey, pod)
	if bearer != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, authorizationKey, "Bearer "+bearer)
	}
	return conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/"+serviceName+"/"+methodName)
}

// watchedTLS is TLS credentials that keep the error of the last handshake, which grpc only passes on as text.
type watchedTLS struct {
	credentials.TransportCredentials
	failed *handshakeFailure
}

type handshakeFailure struct{ err error }

func (w watchedTLS) ClientHandshake(ctx context.Context, authority string,
	raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := w.TransportCredentials.ClientHandshake(ctx, authority, raw)
	w.failed.err = err
	return conn, info, err
}

func (w watchedTLS) Clone() credentials.TransportCredentials {
	return watchedTLS{w.TransportCredentials.Clone(), w.failed}
}
