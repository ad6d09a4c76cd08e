#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
struct Loud {
    std::string name;
    ~Loud() { std::cout << "gone " << name << "\n"; }
};
int depth(int n) {
    Loud loud{std::to_string(n)};
    if (n == 0)
        throw std::runtime_error("bottom");
    return depth(n - 1) + 1;
}
int main() {
    try {
        depth(3);
    } catch (const std::exception &e) {
        std::cout << "caught " << e.what() << "\n";
    }
    try {
        std::vector<int>(3).at(9);
    } catch (const std::out_of_range &) {
        std::cout << "range\n";
    }
    std::map<int, std::string> m;
    for (int i = 0; i < 1000; i++)
        m[i * 7 % 1000] = std::to_string(i);
    std::cout << m.size() << m[14] << "\n";
    long total = 0;
    std::vector<std::thread> ts;
    for (int i = 0; i < 4; i++)
        ts.emplace_back([&total, i] {
            try {
                throw i;
            } catch (int v) {
                __sync_fetch_and_add(&total, v + 1);
            }
        });
    for (auto &t : ts)
        t.join();
    std::cout << total << std::endl;
    throw 5;
}
