// Package rest holds the bodies of the REST API: what a call takes and what it answers (DESIGN §9).
//
//	call                                              takes                             answers
//	GET    /setup                                                                       200 SetupState
//	POST   /setup                                     Setup                             201 SignedIn
//	POST   /login                                     Login                             200 SignedIn
//	POST   /token/refresh                             Refresh                           200 Tokens
//	POST   /logout                                                                      204
//	POST   /socket/ticket                                                               201 Ticket
//	GET    /gateways                                  ?workspace= &region=              200 GatewayList
//	GET    /me                                                                          200 Me
//	PATCH  /me                                        EditMe                            200 User
//	PUT    /me/password                               NewPassword                       204
//	GET    /me/sessions                                                                 200 SessionList
//	DELETE /me/sessions                                                                 204: all but the one that asks
//	DELETE /me/sessions/{id}                                                            204
//	GET    /invites/{code}                                                              200 InviteState
//	POST   /invites/{code}/accept                     AcceptInvite                      201 SignedIn; with a token 200 Workspace
//	GET    /workspaces                                                                  200 WorkspaceList
//	POST   /workspaces                                NewWorkspace                      201 Workspace
//	GET    /workspaces/{id}                                                             200 Workspace
//	PATCH  /workspaces/{id}                           EditWorkspace                     200 Workspace
//	GET    /workspaces/{id}/members                   ?cursor= &limit=                  200 MemberList
//	PATCH  /workspaces/{id}/members/{user}            EditMember                        200 Member
//	DELETE /workspaces/{id}/members/{user}                                              204
//	GET    /workspaces/{id}/invites                   ?cursor= &limit=                  200 InviteList
//	POST   /workspaces/{id}/invites                   NewInvite                         201 Invite, the only answer with its code
//	DELETE /workspaces/{id}/invites/{invite}                                            204
//	GET    /workspaces/{id}/channels                  ?cursor= &limit=                  200 ChannelList
//	POST   /workspaces/{id}/channels                  NewChannel                        201 Channel
//	POST   /workspaces/{id}/dms                       NewDirect                         201 Channel; 200 when it was there
//	GET    /channels/{id}                                                               200 Channel
//	PATCH  /channels/{id}                             EditChannel                       200 Channel
//	POST   /channels/{id}/join                                                          200 Channel
//	POST   /channels/{id}/leave                                                         204
//	GET    /channels/{id}/members                     ?cursor= &limit=                  200 MemberList
//	POST   /channels/{id}/members                     AddMembers                        204
//	PATCH  /channels/{id}/members/{user}              EditChannelMember                 200 Member
//	DELETE /channels/{id}/members/{user}                                                204
//	POST   /channels/{id}/read                        MarkRead                          200 ReadCursor
//	GET    /workspaces/{id}/read                      ?messages=                        200 ReadCursorList
//	GET    /workspaces/{id}/preferences                                                 200 Preferences
//	PUT    /workspaces/{id}/preferences               Preferences                       200 Preferences
//	PUT, DELETE /channels/{id}/messages/{seq}/follow                                    204
//	GET    /push/key                                                                    200 PushKey
//	GET    /me/subscriptions                                                            200 SubscriptionList
//	POST   /me/subscriptions                          NewSubscription                   201 Subscription
//	DELETE /me/subscriptions/{subscription}                                             204
//	GET    /workspaces/{id}/webhooks                                                    200 WebhookList
//	POST   /workspaces/{id}/webhooks                  NewWebhook                        201 Webhook, the only answer with its secret
//	DELETE /workspaces/{id}/webhooks/{webhook}                                          204
//	GET    /workspaces/{id}/scheduled                                                   200 ScheduledList
//	DELETE /workspaces/{id}/scheduled/{scheduled}                                       204
//	POST   /channels/{id}/scheduled                   NewScheduled                      201 Scheduled
//	POST   /workspaces/{id}/reminders                 NewReminder                       201 Scheduled
//	GET    /channels/{id}/messages/{seq}/delivery     ?user_id= &cursor= &limit=        200 Delivery; for owners and administrators
//	GET    /channels/{id}/messages                    ?before= | after= | around=, &limit=   200 MessageList
//	POST   /channels/{id}/messages                    NewMessage                        201 Ack; 200 for a duplicate
//	PATCH  /channels/{id}/messages/{seq}              EditMessage                       200 Stored
//	DELETE /channels/{id}/messages/{seq}                                                200 Stored
//	GET    /channels/{id}/messages/{seq}/replies      as messages                       200 MessageList
//	PUT, DELETE /channels/{id}/messages/{seq}/reactions/{emoji}                         200 Stored
//	GET    /channels/{id}/pins                                                          200 MessageList
//	PUT, DELETE /channels/{id}/pins/{seq}                                               200 Stored
//
// openapi.json beside this file says all of it in OpenAPI 3.1; GET /openapi.json and GET /asyncapi.json give both documents.
//
// A POST may carry an Idempotency-Key of at most chat.MaxIdempotencyKey bytes: sent again with the same body within
// chat.IdempotencyWindow it is answered the same, with the header Idempotent-Replayed: true, and done once. Another
// body, or a second one while the first is being done, is a conflict. (A message has its client_msg_id besides.)
//
// Every failure is a Problem, application/problem+json, with a status of schemas/fault. What one may not
// see is not_found, and so is an id in a path that is not an id; an id in a body that is not one is invalid.
//
// Rules for all bodies: a request is one I-JSON object (schemas/ijson) of at most MaxRequest bytes. A field that the
// server does not know is ignored, so that clients may be newer than servers. A field of another type, or
// anything after the object, is refused as invalid. limit is 1 to chat.MaxPageSize (chat.DefaultPageSize when
// it is not given; more is refused as invalid, never silently less). A cursor is opaque: send back
// next_cursor; a list without one has ended. A seq is a number; ts is RFC 3339 in UTC with milliseconds.
package rest
