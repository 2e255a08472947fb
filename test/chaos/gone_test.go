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

package chaos

import (
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// relay stands before the API server and can answer watches in its place.
type relay struct {
	*httptest.Server
	// gone is how many of the next watches are told 410 Gone, as by a server
	// that no longer knows the version they would go on from.
	gone atomic.Int64
	// told counts those, and lists what clients list, by a watch that begins with
	// all there is (KEP-3157) or the old way.
	told, lists atomic.Int64
	// begun is when the last watch began, in nanoseconds of Unix time.
	begun atomic.Int64
}

// shortWatch is how long a watch has to last, for client-go, to be gone on with
// when it ends without having brought anything; what a shorter one is of is
// listed anew, and nobody asks whether the version is known.
const shortWatch = time.Second

// newRelay puts a relay in the agents' way.
func (b *bed) newRelay() *relay {
	b.Helper()
	config := apiServer(b.T)
	server := must(url.Parse(config.Host))(b.T)
	if server.Host == "" {
		server = &url.URL{Scheme: "https", Host: config.Host}
	}
	to := httputil.NewSingleHostReverseProxy(server)
	to.Transport = must(rest.TransportFor(config))(b.T)
	to.FlushInterval = -1 // watches
	// Watches that are cut end like this.
	to.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	r := &relay{}
	r.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		query := request.URL.Query()
		if query.Has("watch") {
			r.begun.Store(time.Now().UnixNano())
		}
		switch {
		case request.Method != http.MethodGet:
		case !query.Has("watch") || query.Has("sendInitialEvents"):
			r.lists.Add(1)
		case r.gone.Add(-1) >= 0:
			r.told.Add(1)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusGone)
			_ = json.NewEncoder(w).Encode(apierrors.NewResourceExpired("too old resource version").Status())
			return
		}
		to.ServeHTTP(w, request)
	}))
	_ = r.Listener.Close()
	b.in(b.node, func() (err error) {
		r.Listener, err = net.Listen("tcp", "127.0.0.1:0")
		return err
	})
	r.StartTLS()
	b.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	known := *config
	known.CAData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
	b.kubeconfig = writeKubeconfig(b.T, &known, r.URL)
	return r
}

func TestWatchesThatHaveToBeginAnewLoseNothing(t *testing.T) {
	b := newBed(t)
	relay := b.newRelay()
	b.startAgent(unprotected)
	b.awaitSync()
	start := relay.lists.Load()
	toll := b.under(func() {
		b.await("the watches have lasted", func() bool { return time.Since(time.Unix(0, relay.begun.Load())) > shortWatch*5/4 })
		lists := relay.lists.Load()
		relay.gone.Store(4) // Services, slices, the node, ServiceCIDRs
		relay.CloseClientConnections()
		b.await("something is listed again", func() bool { return relay.lists.Load() > lists })
	})
	b.Logf("%d watches were told to begin anew, %d lists followed", relay.told.Load(), relay.lists.Load()-start)
	if relay.told.Load() == 0 {
		b.Error("no watch had to begin anew")
	}
	b.nothingLost(toll)
	b.settled(unprotected)
}
