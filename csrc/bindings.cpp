// pybind11, thin: the Array under Tensor, one callable per kernel, Program, and the machine's
// facts.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include <utility>

#include "activations.h"
#include "array.h"
#include "peak.h"
#include "program.h"

namespace py = pybind11;
using namespace fastnn;

namespace {

const char* kFormats[kDTypes] = {"f", "d", "i", "B", "?"};
const char kKinds[kDTypes] = {'f', 'f', 'i', 'u', 'b'};  // NumPy's, with the size of an element

// A tensor's memory is looked at from Python: the values of this step would not be those of the
// next one, so a recording cannot contain it.
void value_leaves(const char* how) {
  if (Program* program = Program::recording()) program->spoil(how);
}

// A Python integer; OverflowError where it does not fit.
int64_t int64_of(const py::handle& value) {
  const auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) throw py::error_already_set();
  const long long n = PyLong_AsLongLong(index.ptr());
  if (n == -1 && PyErr_Occurred()) throw py::error_already_set();
  return n;
}

std::vector<int64_t> shape_from(const py::handle& shape) {
  std::vector<int64_t> sizes;
  for (const auto& item : py::reinterpret_borrow<py::sequence>(shape)) {
    if (!PyIndex_Check(item.ptr()))
      throw py::type_error("expected integers, got " +
                           py::cast<std::string>(py::type::of(item).attr("__name__")));
    sizes.push_back(int64_of(item));
  }
  return sizes;
}

py::tuple shape_tuple(const Array& a) {
  py::tuple t(a.view().rank);
  for (int i = 0; i < a.view().rank; ++i) t[i] = a.view().shape[i];
  return t;
}

bool is_of(const py::array& array, DType type) {
  const py::dtype dtype = array.dtype();
  return dtype.kind() == kKinds[static_cast<int>(type)] &&
         dtype.itemsize() == static_cast<py::ssize_t>(item_bytes(type)) &&
         (dtype.byteorder() == '=' || dtype.byteorder() == '|');
}

// The type of an array's elements, which have to lie in memory as kernels read them.
DType dtype_of_numpy(const py::array& array) {
  for (int i = 0; i < kDTypes; ++i)
    if (is_of(array, static_cast<DType>(i))) return static_cast<DType>(i);
  if (!py::cast<bool>(array.dtype().attr("isnative")))
    throw std::invalid_argument("the array's bytes are in the order of another machine");
  return dtype_of(py::cast<std::string>(array.dtype().attr("name")));
}

// NumPy's memory without a copy: the array is kept until the last tensor over it goes.
Array share_numpy(const py::array& array) {
  if (!(array.flags() & py::array::c_style))
    throw std::invalid_argument("the array is not C-contiguous");
  const DType dtype = dtype_of_numpy(array);
  if (reinterpret_cast<uintptr_t>(array.data()) % item_bytes(dtype) && array.size())
    throw std::invalid_argument("the array's memory is not aligned to its elements");
  auto block = std::make_shared<Block>();
  block->data = const_cast<void*>(array.data());
  block->bytes = static_cast<size_t>(array.nbytes());
  block->readonly = !array.writeable();
  static char nothing;
  if (!block->data) block->data = &nothing;
  auto* owner = new py::object(array);
  block->release = [owner](Block&) {
    py::gil_scoped_acquire gil;
    delete owner;
  };
  return Array(block, {array.shape(), array.shape() + array.ndim()}, dtype);
}

Array copy_numpy(const py::array& values, const std::string& device) {
  if (!(values.flags() & py::array::c_style))
    throw std::invalid_argument("the array is not C-contiguous");
  return Array(values.data(), {values.shape(), values.shape() + values.ndim()},
               dtype_of_numpy(values), device_of(device));
}

py::buffer_info buffer_of(Array& a) {
  if (a.view().device != Device::cpu)
    throw std::invalid_argument("this tensor is on the GPU; call .numpy() to copy it");
  value_leaves("a tensor's values were read by NumPy");
  a.lend();
  const auto item = static_cast<py::ssize_t>(item_bytes(a.view().dtype));
  std::vector<py::ssize_t> shape(a.view().shape, a.view().shape + a.view().rank),
      strides(shape.size());
  py::ssize_t stride = item;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return py::buffer_info(a.view().data, item, kFormats[static_cast<int>(a.view().dtype)],
                         static_cast<py::ssize_t>(shape.size()), shape, strides,
                         a.block()->readonly);
}

py::array to_numpy(const Array& a) {
  value_leaves("a tensor's values were copied to NumPy");
  py::array out(py::dtype(kFormats[static_cast<int>(a.view().dtype)]), a.shape());
  a.copy_to_host(out.mutable_data());
  return out;
}

void assign_numpy(Array& a, const py::array& values) {
  value_leaves("a tensor was assigned from NumPy");
  const auto shape = a.shape();
  const std::vector<int64_t> got(values.shape(), values.shape() + values.ndim());
  if (got != shape || !(values.flags() & py::array::c_style) ||
      dtype_of_numpy(values) != a.view().dtype)
    throw std::invalid_argument("cannot assign an array of another shape, type or layout");
  a.copy_from_host(values.data());
}

// --- programs ----------------------------------------------------------------------------------

using Pairs = std::vector<std::pair<py::array, const Array*>>;

// The memory of `pairs`, which has room for `end` batches of each.
std::vector<Program::Stream> streams(const Program& p, const Pairs& pairs, int64_t end,
                                     bool written) {
  std::vector<Program::Stream> found;
  for (const auto& [array, slot] : pairs) {
    if (!slot) throw std::invalid_argument("run_batches: a tensor is None");
    const View& v = slot->view();
    if (v.device != p.pool_device() || (!written && slot->block()->readonly))
      throw std::invalid_argument("run_batches: expected writable tensors on the program's device");
    if (!(array.flags() & py::array::c_style) || dtype_of_numpy(array) != v.dtype ||
        (written && !array.writeable()))
      throw std::invalid_argument(
          "run_batches: expected C-contiguous arrays of their tensors' types");
    if (slot->size() && array.size() / slot->size() < end)
      throw std::invalid_argument("run_batches: an array holds fewer batches than asked for");
    found.push_back({static_cast<char*>(const_cast<void*>(array.data())), v});
  }
  return found;
}

// Whether Ctrl-C was pressed; its handler in Python runs when this thread is back there. The calls
// below are all in C, and do not fail in the main thread.
bool ctrl_c() noexcept {
  py::gil_scoped_acquire gil;
  if (!PyOS_InterruptOccurred()) return false;  // never outside the main thread
  // The question took it away. It is put back, but a wakeup descriptor (asyncio) has seen it.
  const py::object set_wakeup = py::module_::import("_signal").attr("set_wakeup_fd");
  const py::object descriptor = set_wakeup(-1);
  PyErr_SetInterrupt();
  set_wakeup(descriptor, py::arg("warn_on_full_buffer") = false);
  return true;
}

// What Ctrl-C has broken off begins again if its handler lets it; then nobody asks, for somebody
// may press the keys for ever. Called without the GIL.
void ask_handler() {
  py::gil_scoped_acquire gil;
  if (PyErr_CheckSignals()) throw py::error_already_set();
}

void run_whole(Program& p) {
  if (p.run(ctrl_c)) return;
  ask_handler();
  p.run();
}

// One run on `values`, and a copy of the output; None where they are no plain array of the slot's
// shape and type, or where this run would be part of a recording.
py::object run_on(Program& p, Array& slot, const py::object& values, const Array& output) {
  const bool plain = Py_TYPE(values.ptr()) == py::detail::npy_api::get().PyArray_Type_;
  if (!plain || Program::recording()) return py::none();
  const auto array = py::reinterpret_borrow<py::array>(values);
  const View& v = slot.view();
  if (!(array.flags() & py::array::c_style) || array.ndim() != v.rank ||
      !std::equal(v.shape, v.shape + v.rank, array.shape()) || !is_of(array, v.dtype))
    return py::none();
  {
    py::gil_scoped_release release;
    slot.copy_from_host(array.data());
    run_whole(p);
  }
  return to_numpy(output);
}

// --- kernels -----------------------------------------------------------------------------------

[[noreturn]] void wrong_type(const Kernel& k, const Param& p, const char* wanted, py::handle got) {
  throw py::type_error(std::string(k.name) + ": " + p.name + " must be " + wanted + ", got " +
                       py::cast<std::string>(py::type::of(got).attr("__name__")));
}

Arg box(const Kernel& k, const Param& p, py::handle value, BlockPtr& block) {
  Arg arg;
  switch (p.kind) {
    case Kind::in:
    case Kind::out:
    case Kind::inout:
      if (value.is_none()) return arg;
      if (!py::isinstance<Array>(value)) wrong_type(k, p, "a Tensor", value);
      {
        const Array& a = value.cast<const Array&>();
        arg.view = a.view();
        block = a.block();
      }
      return arg;
    case Kind::real:
      if (!PyFloat_Check(value.ptr()) && !PyIndex_Check(value.ptr()))
        wrong_type(k, p, "a number", value);
      arg.real = value.cast<double>();
      return arg;
    case Kind::integer:
    case Kind::flag:
      if (!PyIndex_Check(value.ptr())) wrong_type(k, p, "an integer", value);
      arg.integer = int64_of(value);
      return arg;
    case Kind::ints: {
      if (!py::isinstance<py::sequence>(value)) wrong_type(k, p, "a list of integers", value);
      const auto list = shape_from(value);
      if (list.size() > Ints::kMax)
        throw std::invalid_argument(std::string(k.name) + ": " + p.name +
                                    " has more than 16 integers");
      for (int64_t v : list) arg.ints.values[arg.ints.count++] = v;
      return arg;
    }
  }
  return arg;
}

void call_kernel(const Kernel& k, const py::args& values) {
  const auto& params = k.line.params();
  if (values.size() != params.size())
    throw py::type_error(std::string(k.name) + k.params + " takes " +
                         std::to_string(params.size()) + " arguments, got " +
                         std::to_string(values.size()));
  std::vector<Arg> args;
  std::vector<BlockPtr> blocks(params.size());
  args.reserve(params.size());
  for (size_t i = 0; i < params.size(); ++i)
    args.push_back(box(k, params[i], values[i], blocks[i]));
  Call call = make_call(k, std::move(args), std::move(blocks));
  py::gil_scoped_release release;
  dispatch(std::move(call));
}

std::string doc_of(const Kernel& k) {
  return std::string(k.doc) + "\n\nShapes: " + k.shapes + "\nWritten: " + [&] {
    std::string names;
    for (const Param& p : k.line.params())
      if (is_written(p.kind)) names += (names.empty() ? "" : ", ") + p.name;
    return names;
  }();
}

std::vector<std::pair<std::string, std::string>> params_of(const Kernel& k) {
  static const char* kinds[] = {"In", "Out", "InOut", "int", "float", "bool", "ints"};
  std::vector<std::pair<std::string, std::string>> list;
  for (const Param& p : k.line.params()) list.emplace_back(p.name, kinds[static_cast<int>(p.kind)]);
  return list;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "fastnn's kernels: tensors, one function per kernel, recorded programs.";
  py::register_exception<DeviceError>(m, "DeviceError", PyExc_RuntimeError);
  // What C++ says of the memory of its own lists is "std::bad_alloc".
  py::register_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const OutOfMemory&) {
      throw;
    } catch (const std::bad_alloc&) {
      PyErr_SetString(PyExc_MemoryError, "out of memory: the system gives this process no more");
    }
  });

  // Attributes are for its Python subclass to hold: with dynamic_attr() here too, the collector
  // would be shown the same dictionary twice, believe that others refer to it, and free no circle.
  py::class_<Array>(m, "Array", py::buffer_protocol(), "Memory with a shape and a type.")
      .def(py::init(&share_numpy), py::arg("array").noconvert())
      .def(py::init(
               [](const py::sequence& shape, const std::string& dtype, const std::string& device) {
                 return Array(shape_from(shape), dtype_of(dtype), device_of(device));
               }),
           py::arg("shape"), py::arg("dtype") = "float32", py::arg("device") = "cpu")
      .def(py::init(&copy_numpy), py::kw_only(), py::arg("values").noconvert(), py::arg("device"),
           "A copy of the values. In a recording it is a constant: replays read it as it is now.")
      .def(py::init([](const Array& base, const py::sequence& shape, int64_t offset) {
             return Array(base, shape_from(shape), offset);
           }),
           py::arg("base"), py::arg("shape"), py::arg("offset") = 0)
      .def_property_readonly("shape", &shape_tuple)
      .def_property_readonly("ndim", [](const Array& a) { return a.view().rank; })
      .def_property_readonly("size", &Array::size)
      .def(
          "mark_scratch", [](Array& a) { a.block()->scratch = true; },
          "What this memory holds is of no use when a step has ended, as gradients are not: a "
          "step\n"
          "that is broken off need not put it back.")
      .def_property_readonly("nbytes", &Array::bytes)
      .def_property_readonly("dtype", [](const Array& a) { return name(a.view().dtype); })
      .def_property_readonly("device", [](const Array& a) { return name(a.view().device); })
      .def_property_readonly("readonly", [](const Array& a) { return a.block()->readonly; })
      .def_property_readonly(
          "address", [](const Array& a) { return reinterpret_cast<uintptr_t>(a.view().data); })
      .def("to_numpy", &to_numpy, "A copy as a NumPy array.")
      .def("assign_numpy", &assign_numpy, py::arg("values"))
      .def(
          "rebind",
          [](Array& a, const Array& other) {
            value_leaves("a tensor was moved to other memory");
            a.rebind(other);
          },
          py::arg("other"), "Moves this tensor, with its values, onto other's memory.")
      .def_buffer(&buffer_of);

  py::class_<Kernel>(m, "Kernel", py::dynamic_attr(),
                     "A kernel of the catalogue; call it with its arguments in order.")
      .def("__call__", [](const Kernel& k, const py::args& args) { call_kernel(k, args); })
      .def_property_readonly("name", [](const Kernel& k) { return k.name; })
      .def_property_readonly("signature", [](const Kernel& k) { return k.params; })
      .def_property_readonly("shapes", [](const Kernel& k) { return k.shapes; })
      .def_property_readonly("on_cuda", [](const Kernel& k) { return k.on_cuda; })
      .def_property_readonly("params", &params_of)
      .def("__repr__",
           [](const Kernel& k) { return "<kernel " + std::string(k.name) + k.params + ">"; });
  py::dict kernels;
  for (const Kernel& k : catalogue()) {
    py::object kernel = py::cast(&k, py::return_value_policy::reference);
    kernel.attr("__name__") = k.name;
    kernel.attr("__doc__") = doc_of(k);
    kernels[k.name] = kernel;
  }
  m.attr("kernels") = kernels;

  // name -> (number in kernel calls, what the derivative reads)
  py::dict activations;
#define FASTNN_X(name, reads) \
  activations[#name] = py::make_tuple(static_cast<int>(Activation::name), #reads);
  FASTNN_ACTIVATIONS(FASTNN_X)
#undef FASTNN_X
  m.attr("activations") = activations;

  py::class_<CallTiming>(m, "CallTiming")
      .def_readonly("kernel", &CallTiming::kernel)
      .def_readonly("shapes", &CallTiming::shapes)
      .def_readonly("seconds", &CallTiming::seconds)
      .def_readonly("flops", &CallTiming::flops)
      .def_readonly("bytes", &CallTiming::bytes)
      .def_property_readonly("gflops",
                             [](const CallTiming& c) { return c.flops / c.seconds / 1e9; })
      .def_property_readonly("gbytes",
                             [](const CallTiming& c) { return c.bytes / c.seconds / 1e9; });

  py::class_<Profile>(m, "Profile", "The calls of a step with their times; print it for a table.")
      .def("__len__", [](const Profile& p) { return p.calls.size(); })
      .def("__getitem__",
           [](const Profile& p, py::ssize_t i) {
             const auto n = static_cast<py::ssize_t>(p.calls.size());
             if (i < -n || i >= n) throw py::index_error();
             return p.calls[static_cast<size_t>(i < 0 ? i + n : i)];
           })
      .def(
          "__iter__",
          [](const Profile& p) { return py::make_iterator(p.calls.begin(), p.calls.end()); },
          py::keep_alive<0, 1>())
      .def_readonly("threads", &Profile::threads)
      .def("__repr__", &Profile::table, py::call_guard<py::gil_scoped_release>(),
           "One line a kernel: time, share of the step, GFLOP/s and percent of the most this "
           "machine\n"
           "does, GB/s and percent of the speed of copying.");

  py::class_<Program>(m, "Program", py::dynamic_attr(),
                      "The kernel calls of one step, recorded and replayed.")
      .def(py::init([](const std::string& device) { return ::new Program(device_of(device)); }),
           py::arg("device") = "cpu")
      // While it records, the thread points to it, so Python must not drop it.
      .def("begin",
           [](py::object self) {
             self.cast<Program&>().begin();
             self.inc_ref();
           })
      .def("end",
           [](py::object self) {
             self.cast<Program&>().end();
             self.dec_ref();
           })
      .def("run", &run_whole, py::call_guard<py::gil_scoped_release>())
      .def("run_on", &run_on, py::arg("slot"), py::arg("values"), py::arg("output"),
           "Runs the step on an array that is copied into its slot, and returns a copy of the\n"
           "output. None, and nothing is run, where the array has not the slot's shape and type.")
      .def(
          "run_batches",
          [](Program& p, const py::typing::Optional<Program>& feed, const Pairs& inputs,
             const Pairs& outputs, int64_t begin, int64_t end, double seconds) {
            if (!feed.is_none() && !py::isinstance<Program>(feed))
              throw py::type_error("run_batches: feeder is a Program or None");
            const Program* feeder = feed.is_none() ? nullptr : feed.cast<const Program*>();
            if (feeder && feeder->pool_device() != p.pool_device())
              throw std::invalid_argument("run_batches: feeder is a program of another device");
            if (begin < 0 || end < begin)
              throw std::invalid_argument("run_batches: expected 0 <= begin <= end");
            const auto from = streams(p, inputs, end, false), to = streams(p, outputs, end, true);
            py::gil_scoped_release release;
            const int64_t next = p.run_batches(feeder, from, to, begin, end, seconds, ctrl_c);
            if (!p.was_broken()) return next;
            ask_handler();
            return p.run_batches(feeder, from, to, next, next + 1, 0, nullptr);
          },
          py::arg("feeder"), py::arg("inputs"), py::arg("outputs"), py::arg("begin"),
          py::arg("end"), py::arg("seconds"),
          "Runs the step for batches [begin, end). Inputs and outputs are pairs of a NumPy array "
          "of\n"
          "rows, batch after batch, and the tensor that holds one batch. `feeder`, a program or "
          "None,\n"
          "runs between the copy of the inputs and the step.")
      .def("describe", &Program::describe,
           "One line a kernel: number, | where it waits for the others, 1 where one thread makes "
           "it,\n"
           "name, shapes.")
      .def("profile", &Program::profile, py::arg("rounds") = 10,
           py::call_guard<py::gil_scoped_release>(),
           "Runs the step kernel by kernel and times each. These are real steps: weights move.\n"
           "Print what comes back: a table with GFLOP/s, GB/s and percent of this machine's peaks.")
      .def_property_readonly("spoiled", &Program::spoiled)
      .def_property_readonly("calls", &Program::calls)
      .def_property_readonly("constants", &Program::constants)
      .def_property_readonly("fingerprint", &Program::fingerprint)
      .def_property_readonly("pool_bytes", &Program::pool_bytes)
      .def_property_readonly("threads", &Program::threads);

  m.def("is_recording", [] { return Program::recording() != nullptr; });
  m.def(
      "spoil", [](const std::string& reason) { value_leaves(reason.c_str()); }, py::arg("reason"));
  m.def("available_isas", &available_isas);
  m.def("current_isa", &current_isa);
  m.def("set_isa", &set_isa, py::arg("name"));
  m.def("max_threads", &team::max_threads);
  m.def("set_max_threads", &team::set_max_threads, py::arg("threads"));
  static constexpr const char* precisions[] = {"float32", "float32_strict", "bfloat16"};
  m.def("matmul_precision", [] { return precisions[static_cast<int>(team::precision())]; });
  m.def(
      "set_matmul_precision",
      [](const std::string& name) {
        for (int i = 0; i < 3; ++i)
          if (name == precisions[i]) return team::set_precision(static_cast<team::Precision>(i));
        throw std::invalid_argument(
            "matmul_precision is 'float32', 'float32_strict' or 'bfloat16', got '" + name + "'");
      },
      py::arg("name"));
  m.def("multiplies_bfloat16", &multiplies_bfloat16,
        "Whether products of bfloat16 numbers are faster here than those of float32.");
  m.def(
      "round_products", [](bool value) { return std::exchange(rounds_products(), value); },
      py::arg("value"),
      "Whether the calls that this thread makes from now on round the operands of their "
      "products to bfloat16; returns what was set before.");
  m.def("peak_flops", &peak::flops, py::arg("threads"), py::call_guard<py::gil_scoped_release>(),
        "float32 operations a second of multiply-adds on registers, measured now.");
  m.def("copy_bandwidth", &peak::bytes, py::arg("threads"), py::arg("bytes"),
        py::call_guard<py::gil_scoped_release>(),
        "Bytes read and written a second by a copy that touches so many, measured now.");
  m.def("cuda_description", [] { return std::string(cuda_backend().description); });
}
