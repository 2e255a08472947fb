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

// Package certificate makes the webhooks' own certificate, keeps it in a Secret
// that all managers share, and exchanges it while they serve.
//
// Nothing tells when an API server has heard of an authority, nor when every
// manager serves another certificate. So an authority is exchanged in steps,
// with time in between:
//
//	                     Secret                   webhooks trust   managers serve
//	at first             A, signed by A           A                A's
//	a new authority      B and A, signed by A     A, then B and A  A's
//	after Settle         B and A, signed by B     B and A          A's, then B's
//	after Overlap        B, signed by B           B and A, then B  B's
//
// Which step is due follows from the Secret and from what the webhook
// configurations trust: Plan is a function of these two, and any manager may take
// it. Writes carry the version that was read, so that one of them does.
//
// A replica begins to serve a certificate when all webhooks trust its authority, which
// in these steps they have for long. So a Secret that somebody puts back from a backup
// is exchanged in the same steps, for what is served and trusted.
//
// An authority has the name and the UID of the namespace it was made in. What a namespace
// that was deleted left in the webhook configurations is forgotten at once: its
// replicas and its Secret went with it. Neither a leader's Lease nor a note
// in the Secret would say that: both are gone as well when somebody deletes them
// beside replicas that serve. Webhooks that lead to another namespace are
// another installation's, and left to it.
//
// Somebody else who keeps replacing or deleting the Secret, or whom the webhooks
// trust, is not outrun: each process waits longer each time, up to a minute. An
// authority is never forgotten before its time, as some replica may serve what it
// signed; so once there are 16, the last is put back in place of another.
//
// The Secret has the keys that versions before this package gave it (ca.crt,
// ca.key, tls.crt, tls.key; RSA keys, and the authority that signs first in
// ca.crt), so going back works.
package certificate
