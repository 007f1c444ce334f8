package api_test

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// nothing is all parts behind an API in which everybody is signed in and nothing is there.
type nothing struct{}

var errNothing = fault.New(fault.NotFound, "there is nothing")

func (nothing) Login(context.Context, string, string) (chat.User, token.Issued, error) {
	return chat.User{}, token.Issued{}, fault.New(fault.Unauthenticated, "nobody comes in")
}

func (nothing) Verify(context.Context, string) (token.Claims, error) {
	return token.Claims{UserID: "u1"}, nil
}

func (nothing) User(context.Context, chat.UserID) (chat.User, error) {
	return chat.User{ID: "u1"}, nil
}
func (nothing) Users(context.Context, []chat.UserID) ([]chat.User, error) { return nil, errNothing }
func (nothing) WorkspacesOf(context.Context, chat.UserID) ([]store.Membership, error) {
	return nil, nil
}
func (nothing) Workspace(context.Context, chat.UserID, chat.WorkspaceID) (store.Membership, error) {
	return store.Membership{}, errNothing
}
func (nothing) CreateWorkspace(context.Context, chat.UserID, string) (store.Membership, error) {
	return store.Membership{}, errNothing
}
func (nothing) Channel(context.Context, chat.UserID, chat.ChannelID) (chat.Channel, chat.Standing, error) {
	return chat.Channel{}, chat.Standing{}, errNothing
}
func (nothing) ListChannels(context.Context, store.ChannelQuery) ([]store.ListedChannel, error) {
	return nil, errNothing
}
func (nothing) CreateChannel(context.Context, chat.UserID, chat.Channel) (chat.Channel, error) {
	return chat.Channel{}, errNothing
}
func (nothing) Join(context.Context, chat.UserID, chat.ChannelID) (chat.Channel, error) {
	return chat.Channel{}, errNothing
}
func (nothing) Leave(context.Context, chat.UserID, chat.ChannelID) error { return errNothing }
func (nothing) AddMembers(context.Context, chat.UserID, chat.ChannelID, []chat.UserID) error {
	return errNothing
}
func (nothing) UpdateChannel(context.Context, store.ChannelChange) (store.ListedChannel, error) {
	return store.ListedChannel{}, errNothing
}
func (nothing) UpdateProfile(context.Context, chat.UserID, string) (chat.User, error) {
	return chat.User{}, errNothing
}
func (nothing) Members(context.Context, store.PeopleQuery) ([]chat.Member, error) {
	return nil, errNothing
}
func (nothing) ChannelMembers(context.Context, store.PeopleQuery) ([]chat.UserID, error) {
	return nil, errNothing
}
func (nothing) OpenDirect(context.Context, chat.UserID, chat.WorkspaceID, []chat.UserID) (chat.Channel, bool, error) {
	return chat.Channel{}, false, errNothing
}
func (nothing) Page(context.Context, store.ChannelPlace, store.PageQuery) (store.Reading, error) {
	return store.Reading{}, errNothing
}
func (nothing) Pins(context.Context, store.ChannelPlace) (store.Reading, error) {
	return store.Reading{}, errNothing
}
func (nothing) Submit(context.Context, event.Change) (event.Receipt, error) {
	return event.Receipt{}, errNothing
}
