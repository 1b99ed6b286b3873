// SPDX-License-Identifier: MIT
// A C++ program as CMake finds the library: client ENDPOINT.
#include <dxh.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

void check(dxh_status status)
{
	if (status != DXH_OK)
		throw std::runtime_error(dxh_last_error());
}

struct hub_close {
	void operator()(dxh_hub *hub) const { dxh_hub_close(&hub); }
};

std::string ask(dxh_peer *peer, const std::string &subject, const std::string &body)
{
	dxh_completion done;
	dxh_reply reply;

	check(dxh_post(peer, subject.c_str(), body.data(), body.size(), dxh_in_ms(30000), &done));
	dxh_status status = dxh_await(done, DXH_FOREVER, &reply);
	std::string answer(static_cast<const char *>(reply.body), reply.body_bytes);
	dxh_release(done);
	check(status);
	return answer;
}

} // namespace

int main(int, char **arguments)
try {
	dxh_hub *opened;
	dxh_hub_config config = {};
	dxh_peer *peer;

	config.name = "stranger";
	check(dxh_hub_open(&config, &opened));
	std::unique_ptr<dxh_hub, hub_close> hub(opened);
	check(dxh_peer_connect(hub.get(), arguments[1], nullptr, &peer));
	std::cout << ask(peer, "square", "12") << "\n";
	return 0;
} catch (const std::exception &error) {
	std::cerr << "client: " << error.what() << "\n";
	return 1;
}
