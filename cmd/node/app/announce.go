/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package app

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"switchyard.dev/switchyard/internal/announce/claims"
	"switchyard.dev/switchyard/internal/announce/speaker"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

// +kubebuilder:rbac:groups=coordination.k8s.io,namespace=switchyard-system,resources=leases,verbs=get;list;watch;create;patch

// The values of --announce.
const (
	announceL2     = "l2"
	announceRoutes = "routes"
)

// suiteNamespace is that of the install manifests.
const suiteNamespace = "switchyard-system"

func (o *OwnOptions) addAnnounceFlags(fs *pflag.FlagSet) {
	fs.StringSliceVar(&o.Announce, "announce", o.Announce,
		"announce load-balancer addresses from this node: l2 answers ARP and neighbour discovery (takes CAP_NET_RAW), routes hands them to a routing daemon")
	fs.StringSliceVar(&o.AnnounceInterfaces, "announce-interfaces", o.AnnounceInterfaces,
		"with --announce=l2: interfaces to answer on; without, those that have the addresses of this Node")
	fs.StringVar(&o.AnnounceNamespace, "announce-namespace", o.AnnounceNamespace,
		"with --announce: namespace of the manager, where the Leases of addresses are; $POD_NAMESPACE, or else "+suiteNamespace+", when not given")
}

func (o *OwnOptions) validateAnnounce() error {
	var errs []error
	for _, way := range o.Announce {
		errs = append(errs, validateChoice("announce", way, announceL2, announceRoutes))
	}
	for _, name := range o.AnnounceInterfaces {
		errs = append(errs, validateInterface("announce-interfaces", name))
	}
	return errors.Join(errs...)
}

// announces says whether addresses are announced that way.
func (o *OwnOptions) announces(way string) bool { return slices.Contains(o.Announce, way) }

func (o *OwnOptions) announceNamespace() string {
	return cmp.Or(o.AnnounceNamespace, os.Getenv("POD_NAMESPACE"), suiteNamespace)
}

// books follow addresses, one for each way to announce them.
type books []*claims.Book

// changed tells them what may have changed of the Services.
func (b *books) changed(names []model.ServicePortName) {
	for _, one := range *b {
		one.Changed(names)
	}
}

// The requests that announcing may make, per second and at once: an address that
// moves waits for nothing else, and each that moves is one.
const announceQPS, announceBurst = 100, 200

// A connection that is dead is given up in time for the next renewal that counts;
// by itself the kernel tries it for minutes, and HTTP/2 asks after 45 s.
const (
	dialPatience = time.Second
	ackPatience  = 2 * time.Second
)

// dialImpatient connects to the API server.
func dialImpatient(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialPatience, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		if closed := raw.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ackPatience.Milliseconds()))
		}); closed != nil {
			return closed
		}
		return err
	}}
	return d.DialContext(ctx, network, address)
}

// speakL2 announces at layer 2.
func speakL2(o *Options, node string, book *claims.Book, state *health.State, metrics *health.Metrics,
	recorder record.EventRecorder,
) (func(context.Context), error) {
	own := *o
	own.Proxy.ClientConnection.QPS, own.Proxy.ClientConnection.Burst = announceQPS, announceBurst
	client, err := newClient(&own, func(c *rest.Config) { c.Dial = dialImpatient })
	if err != nil {
		return nil, err
	}
	return speaker.New(speaker.Config{
		Node: node, Client: client, Namespace: o.Own.announceNamespace(), Book: book,
		State: state, Metrics: metrics.ServeAnnouncements(), Recorder: recorder, Interfaces: o.Own.AnnounceInterfaces,
	}).Run, nil
}
