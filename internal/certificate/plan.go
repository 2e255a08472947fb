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

package certificate

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Keys of the Secret.
const (
	authorityCert = "ca.crt"
	authorityKey  = "ca.key"
	servingCert   = corev1.TLSCertKey
	servingKey    = corev1.TLSPrivateKeyKey
)

// most is how many authorities are trusted at a time before no others are made.
// A configuration has each of them in every webhook, and is 1.5 MB at most.
const most = 16

// Options say what certificates are for and how long each step takes.
type Options struct {
	// Names are what API servers call the webhooks by.
	Names []string
	// Authority and Serving are how long certificates are valid.
	Authority, Serving time.Duration
	// RenewBefore is how long before their end they are renewed.
	RenewBefore time.Duration
	// Settle is how long an authority has been trusted by every webhook
	// configuration before anybody serves what it signed: API servers
	// hear of it by their watches.
	Settle time.Duration
	// Overlap is how long one that signs no more is trusted: managers hear of
	// another certificate by theirs, and may be cut off from the API server.
	Overlap time.Duration
}

// Default fills in what is not set.
func (o *Options) Default() {
	set := func(value *time.Duration, standard time.Duration) {
		if *value == 0 {
			*value = standard
		}
	}
	const day = 24 * time.Hour
	set(&o.Authority, 10*365*day)
	set(&o.Serving, 365*day)
	set(&o.RenewBefore, 90*day)
	set(&o.Settle, time.Minute)
	set(&o.Overlap, day)
}

// Known is what there is.
type Known struct {
	// Home is where the Secret is.
	Home Home
	// Secret is its data; nil when there is none.
	Secret map[string][]byte
	// Last is that of the last one known whose authority could sign; nil when
	// this process knows of none.
	Last map[string][]byte
	// Trusted are the different bundles of authorities that the webhooks of the
	// configurations have. A webhook that has none has an empty one.
	Trusted [][]byte
	// Since is when all of them were first seen to be Secret's.
	Since time.Time
}

// Plan is what to do next, one thing at a time.
type Plan struct {
	// Make makes what the Secret has to hold, with the keys that it takes; nil
	// when it need not change.
	Make func() (map[string][]byte, error)
	// Bundle is what webhooks have to trust; nil when they do, or Make comes first.
	Bundle []byte
	// Why says what either is for, or what is waited for where it is neither.
	Why string
	// After is when to look again if nothing changes.
	After time.Duration
}

// Plan finds the step that is due.
func (o Options) Plan(known Known, now time.Time) Plan {
	authorities := parseAuthorities(now, known.Secret[authorityCert])
	signer, usable := o.signer(authorities, known.Secret[authorityKey], known.Home, now)
	if !usable {
		return o.replaceAuthority(authorities, known, now)
	}
	if later := o.later(authorities, known, now); len(later) > 0 {
		return o.keepLater(append(authorities, later...), known)
	}
	serving := o.serving(signer.cert, known.Secret, now)
	if serving != nil && !now.Before(issued(serving).Add(o.Overlap)) {
		authorities = authorities[:1]
	}
	wanted := bundle(authorities)
	if !bytes.Equal(wanted, known.Secret[authorityCert]) {
		forget := func() (map[string][]byte, error) { return with(known.Secret, authorityCert, wanted), nil }
		return Plan{Make: forget, Why: "authorities that sign no more are forgotten"}
	}
	if !trusted(known.Trusted, wanted) {
		return Plan{Bundle: wanted, Why: "the webhooks trust other authorities than the Secret names"}
	}
	if serving == nil {
		return o.replaceServing(signer, len(authorities) > 1, known, now)
	}
	return Plan{After: o.next(authorities, serving, now)}
}

// signer is the first authority, if it may sign here and for long enough.
func (o Options) signer(authorities []*x509.Certificate, key []byte, home Home, now time.Time) (authority, bool) {
	private, err := parseKey(key)
	if err != nil || len(authorities) == 0 || home.strange(authorities[0]) {
		return authority{}, false
	}
	public, ok := private.Public().(interface{ Equal(x crypto.PublicKey) bool })
	cert := authorities[0]
	return authority{cert: cert, key: private}, ok && public.Equal(cert.PublicKey) && now.Add(o.RenewBefore).Before(cert.NotAfter)
}

// canSign tells whether a Secret has an authority that may sign.
func (o Options) canSign(secret map[string][]byte, home Home, now time.Time) bool {
	_, can := o.signer(parseAuthorities(now, secret[authorityCert]), secret[authorityKey], home, now)
	return can
}

// replaceAuthority makes another, which nobody's certificate is signed by yet. Those
// that the webhooks trust are kept, because the managers serve what one of them
// has signed, also where the Secret is gone. Those of another home are not: nobody
// here serves what they signed, so a new installation need not wait.
//
// So somebody who takes the Secret away time and again would make them ever more.
// Which of them a replica serves by nobody knows, so none is left out; but once they
// are many, the last one is put back in place of another.
func (o Options) replaceAuthority(before []*x509.Certificate, known Known, now time.Time) Plan {
	together := func(first []byte) []*x509.Certificate {
		return parseAuthorities(now, first, bundle(before), bundle(known.Home.served(parseAuthorities(now, known.Trusted...))))
	}
	secret := withoutUntrusted(known, now)
	if len(together(nil)) >= most && o.canSign(known.Last, known.Home, now) {
		last := parseAuthorities(now, known.Last[authorityCert])[0]
		return Plan{Why: "the authority is gone, and too many are trusted for another", Make: func() (map[string][]byte, error) {
			return withAuthority(secret, bundle(together(certPEM(last.Raw))), known.Last[authorityKey]), nil
		}}
	}
	return Plan{Why: "there is no authority of this installation that can sign for long enough", Make: func() (map[string][]byte, error) {
		made, key, err := newAuthority(now, o.Authority, known.Home)
		if err != nil {
			return nil, err
		}
		return withAuthority(secret, bundle(together(certPEM(made.cert.Raw))), key), nil
	}}
}

// replaceServing signs a certificate once API servers know its authority. Where they
// trust no other, nobody serves anything that they would accept, so
// there is nothing to wait for.
func (o Options) replaceServing(signer authority, others bool, known Known, now time.Time) Plan {
	if settled := known.Since.Add(o.Settle); others && now.Before(settled) {
		return Plan{After: settled.Sub(now), Why: "webhooks trusted other authorities before, whose managers may still serve"}
	}
	return Plan{Why: "there is no certificate of the authority that is valid for long enough", Make: func() (map[string][]byte, error) {
		cert, key, err := signer.sign(o.Names, now, o.Serving)
		if err != nil {
			return nil, err
		}
		data := with(known.Secret, servingCert, cert)
		data[servingKey] = key
		return data, nil
	}}
}

// serving is the certificate, if the authority signed it for all of our names and it
// is valid for long enough.
func (o Options) serving(signer *x509.Certificate, secret map[string][]byte, now time.Time) *x509.Certificate {
	pair, err := tls.X509KeyPair(secret[servingCert], secret[servingKey])
	if err != nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AddCert(signer)
	for _, name := range o.Names {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: now.Add(o.RenewBefore)}); err != nil {
			return nil
		}
	}
	return pair.Leaf
}

// next is when the next step is due.
func (o Options) next(authorities []*x509.Certificate, serving *x509.Certificate, now time.Time) time.Duration {
	due := serving.NotAfter.Add(-o.RenewBefore)
	if signer := authorities[0].NotAfter.Add(-o.RenewBefore); signer.Before(due) {
		due = signer
	}
	if forget := issued(serving).Add(o.Overlap); len(authorities) > 1 && forget.Before(due) {
		due = forget
	}
	return max(due.Sub(now), time.Second)
}

func trusted(bundles [][]byte, wanted []byte) bool {
	for _, have := range bundles {
		if !bytes.Equal(have, wanted) {
			return false
		}
	}
	return true
}

// with is a copy in which one key is another.
func with(data map[string][]byte, key string, value []byte) map[string][]byte {
	changed := map[string][]byte{}
	maps.Copy(changed, data)
	changed[key] = value
	return changed
}

// withAuthority is a copy in which the authorities and the key of the first are others.
func withAuthority(data map[string][]byte, authorities, key []byte) map[string][]byte {
	changed := with(data, authorityCert, authorities)
	changed[authorityKey] = key
	return changed
}
