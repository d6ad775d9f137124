// Shape lines of the catalogue: parsed once, then unified with the arguments of a call. This is the
// only validator: "matmul_nt: k is 784 in a (32, 784) but 100 in b (10, 100)".
#pragma once
#include <map>
#include <string>
#include <vector>

#include "tensor.h"

namespace fastnn {

enum class Kind : uint8_t { in, out, inout, integer, real, flag, ints };

inline bool is_tensor(Kind k) { return k <= Kind::inout; }
inline bool is_written(Kind k) { return k == Kind::out || k == Kind::inout; }

// One boxed argument of a call.
struct Arg {
  View view;
  int64_t integer = 0;
  double real = 0;
  Ints ints;
};

struct Param {
  std::string name;
  Kind kind;
};

// A product of names and one number: 4*u.
struct Term {
  int64_t factor = 1;
  std::vector<int> names;  // into ShapeLine::names
};

struct Dim {
  enum Type : uint8_t { term, sequence, broadcast } type = term;
  Term product;
  int sequence_name = -1;
};

struct TensorRule {
  bool given = false;
  char type = 'f';
  bool optional = false;
  bool in_part = false;  // read no further than results are written
  std::vector<Dim> dims;
};

struct Condition {
  int param;
  int64_t at_least;
};

// The sizes that unification found, for cost and for describe().
struct Sizes {
  std::vector<int64_t> values;  // by name; -1 where unknown
};

class ShapeLine {
 public:
  // `params` as written in the catalogue: "(In a, Out c, double alpha)".
  ShapeLine(const char* kernel, const char* params, const char* line, const char* flops);

  const std::vector<Param>& params() const { return params_; }
  bool reads_in_part(size_t param) const { return rules_[param].in_part; }

  // Throws std::invalid_argument naming what does not fit.
  Sizes unify(const std::vector<Arg>& args) const;

  // Floating-point operations of a call with these sizes (0 if the catalogue names none).
  double flops(const Sizes& sizes) const;

 private:
  int name_index(const std::string& name);
  Term parse_term(const std::string& text);
  void parse_rule(const std::string& item);

  std::string kernel_;
  std::vector<Param> params_;
  std::vector<TensorRule> rules_;  // by parameter
  std::vector<Condition> conditions_;
  std::vector<std::string> names_;      // dimension and scalar names
  std::vector<std::string> sequences_;  // names of *s
  std::vector<int> scalar_of_name_;     // parameter index, or -1
  std::vector<Term> flops_;
};

std::string shape_text(const View& view);
std::string shape_text(const int64_t* shape, int rank);

// Number of elements; throws std::invalid_argument on negative sizes and on overflow in bytes.
int64_t checked_size(const int64_t* shape, int rank, size_t item_bytes);

}  // namespace fastnn
